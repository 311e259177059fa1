// plain-call.ts — runs a verb whose words are plainly right without loading yargs, which takes longer than most verbs themselves.
// A verb declares its options once, to yargs; here the same declarations are recorded and Node's own parseArgs reads the words.
// Invariant: what is run here, yargs would run with the same options. Whatever is not plainly right (a mistake, --help, `--`,
// an option given twice) is left to yargs, which explains it.

import { parseArgs, type ParseArgsConfig } from 'node:util';
import type { Argv, CommandModule, Options, PositionalOptions } from 'yargs';
import { VERBS } from './verbs.js';

type Values = Record<string, unknown>;

/** Runs the verb, or returns false with nothing done. Throws what the verb throws, and {@link UsageError} for bad values. */
export async function runPlainCall(args: readonly string[]): Promise<boolean> {
  const [verb = '', ...words] = args;
  const command = await VERBS.get(verb)?.();
  const options = command && readPlainly(command, words);
  if (!options) return false;
  await command.handler(options as Parameters<typeof command.handler>[0]);
  return true;
}

/** The options that `words`, all that follows the verb, give to its handler; null when that is for yargs to say. */
export function readPlainly<O>(command: CommandModule<object, O>, words: readonly string[]): Values | null {
  if (words.includes('--')) return null;
  const declared = declarationsOf(command);
  const parsed = parse(declared.options, words);
  if (!parsed) return null;
  const values: Values = {};
  for (const [name, option] of declared.options) {
    const given = parsed.values[name];
    if (option.array === true) values[name] = given;
    else if (given !== undefined && given.length > 1) return null;
    else values[name] = given?.[0] ?? option.default;
  }
  const places = String(command.command).split(' ').slice(1);
  if (parsed.positionals.length > places.length) return null;
  for (const [index, place] of places.entries()) {
    const word = parsed.positionals[index];
    if (word === undefined && place.startsWith('<')) return null;
    values[place.slice(1, -1)] = word;
  }
  for (const [name, { choices, coerce }] of [...declared.options, ...declared.positionals]) {
    const value = values[name];
    if (value === undefined) continue;
    if (choices && !choices.includes(value as string)) return null;
    if (coerce) values[name] = coerce(value) as unknown;
  }
  return values;
}

interface Declarations {
  options: Map<string, Options>;
  positionals: Map<string, PositionalOptions>;
}

/** Plays the parser for the verb's builder: it notes what it is told. */
function declarationsOf<O>(command: CommandModule<object, O>): Declarations {
  const options = new Map<string, Options>();
  const positionals = new Map<string, PositionalOptions>();
  const recorder = {
    option: (name: string, declaration: Options) => (options.set(name, declaration), recorder),
    positional: (name: string, declaration: PositionalOptions) => (positionals.set(name, declaration), recorder),
  };
  if (typeof command.builder === 'function') void command.builder(recorder as unknown as Argv);
  return { options, positionals };
}

/** Null for words that parseArgs refuses. Every option's values come as a list: whether one is enough is the caller's to say. */
function parse(
  options: Declarations['options'],
  words: readonly string[],
): { values: Record<string, unknown[] | undefined>; positionals: string[] } | null {
  const config: NonNullable<ParseArgsConfig['options']> = {};
  for (const [name, { type, alias }] of options) {
    const short = name.length === 1 ? name : alias;
    config[name] = {
      type: type === 'boolean' ? 'boolean' : 'string',
      multiple: true,
      ...(typeof short === 'string' ? { short } : {}),
    };
  }
  try {
    const { values, positionals } = parseArgs({ args: [...words], options: config, allowPositionals: true });
    return { values: values as Record<string, unknown[] | undefined>, positionals };
  } catch (error) {
    if (String((error as NodeJS.ErrnoException).code).startsWith('ERR_PARSE_ARGS_')) return null;
    throw error;
  }
}

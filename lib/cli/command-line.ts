// command-line.ts — the verbs of `weft`, put together with yargs.
// Wrong usage throws UsageError, everything else that goes wrong what the verb threw; exit codes are main.ts's.

import { readFileSync } from 'node:fs';
import yargs from 'yargs';
import { UsageError } from './failure.js';
import { type Verb, VERBS } from './verbs.js';

/** Parses `args` (without node and script) and runs the verb. `--help` and `--version` print to stdout. */
export async function runCommandLine(args: readonly string[]): Promise<void> {
  const commands = await Promise.all([...VERBS.values()].map((load) => load()));
  const parser = yargs()
    .scriptName('weft')
    .usage('$0 VERB …\n\nOne directory tree at several sites: each works on its own, and they merge.')
    .parserConfiguration({ 'boolean-negation': false, 'dot-notation': false });
  for (const command of commands) parser.command(command);
  await parser
    .demandCommand(1, 'which verb? weft --help lists them')
    .strict()
    .version(programVersion())
    .help()
    .exitProcess(false)
    .fail((message, error: unknown) => {
      // yargs hands over its own complaints as a message, and what a verb threw as an error.
      if (error instanceof Error && error.name !== 'YError') throw error;
      throw new UsageError(`${message.trim()}${helpHint(commands, args)}`);
    })
    .parseAsync([...args]);
}

/** Where to read on, when yargs itself complains about the use of a verb. */
function helpHint(commands: readonly Verb[], args: readonly string[]): string {
  const listed = commands.filter((command) => command.describe !== false);
  const usage = listed.map((command) => String(command.command)).find((line) => line.split(' ')[0] === args[0]);
  return usage === undefined ? '' : ` (weft ${usage}; weft ${args[0]} --help lists the options)`;
}

function programVersion(): string {
  const packageFile = new URL('../../../package.json', import.meta.url);
  return (JSON.parse(readFileSync(packageFile, 'utf8')) as { version: string }).version;
}

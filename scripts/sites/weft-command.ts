// weft-command.ts — the `weft` command line as a script sees it: arguments in, text and exit code out.
// Scripts and conformance tests know the product through this program alone, as a user does; see README.md for the contract.

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { run, runChecked, type CommandOptions, type CommandResult } from './command.js';

/** The program under test: $WEFT_PROGRAM, or the one built beside this script. */
export function weftProgram(): string {
  const program = process.env['WEFT_PROGRAM'] ?? join(import.meta.dirname, '../../lib/cli/main.js');
  if (!existsSync(program)) throw new Error(`${program} does not exist: run make build, or set WEFT_PROGRAM`);
  return program;
}

/** Where programs run: what is written before their own words, e.g. nsenter(1) with its options, and their environment. */
export interface Surroundings {
  readonly before: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

/** As this process runs itself. */
export const HERE: Surroundings = { before: [], env: {} };

/** Runs `weft ARGS`; resolves whatever the exit code. */
export function weft(
  args: readonly string[],
  options: CommandOptions = {},
  { before, env }: Surroundings = HERE,
): Promise<CommandResult> {
  const [program, ...words] = [...before, process.execPath, weftProgram(), ...args];
  return run(program!, words, { ...options, env: { ...options.env, ...env } });
}

/** Runs `weft ARGS`; resolves to its standard output, rejects with its message unless it exits with 0. */
export async function weftChecked(
  args: readonly string[],
  options: CommandOptions = {},
  { before, env }: Surroundings = HERE,
): Promise<string> {
  const [program, ...words] = [...before, process.execPath, weftProgram()];
  try {
    return await runChecked(program!, [...words, ...args], { ...options, env: { ...options.env, ...env } });
  } catch (error) {
    throw new Error((error as Error).message.replace([program, ...words].join(' '), 'weft'), { cause: error });
  }
}

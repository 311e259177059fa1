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

/** Runs `weft ARGS`; resolves whatever the exit code. */
export function weft(args: readonly string[], options: CommandOptions = {}): Promise<CommandResult> {
  return run(process.execPath, [weftProgram(), ...args], options);
}

/** Runs `weft ARGS`; resolves to its standard output, rejects with its message unless it exits with 0. */
export async function weftChecked(args: readonly string[], options: CommandOptions = {}): Promise<string> {
  try {
    return await runChecked(process.execPath, [weftProgram(), ...args], options);
  } catch (error) {
    throw new Error((error as Error).message.replace(`${process.execPath} ${weftProgram()}`, 'weft'), { cause: error });
  }
}

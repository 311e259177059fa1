#!/usr/bin/env node
// main.ts — the program `weft`: runs the command line and turns how it ends into an exit code.
// 0: done. 1: it failed; one line on stderr names what is wrong and the remedy. 2: the command line is wrong. Of fsck: fsck.ts.

import { FSCK_OPERATIONAL, FSCK_USAGE } from '../daemon/fsck-report.js';
import { Failure, messageOf, oneLine, UsageError } from './failure.js';
import { runPlainCall } from './plain-call.js';

process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  // `weft status | head -1`: nobody reads on.
  if (error.code === 'EPIPE') process.exit(0);
  throw error;
});

try {
  const args = process.argv.slice(2);
  if (!(await runPlainCall(args))) {
    // Loaded on demand: yargs takes longer to load than most verbs to run.
    const { runCommandLine } = await import('./command-line.js');
    await runCommandLine(args);
  }
} catch (error) {
  process.exitCode = exitCodeOf(error);
  const gone = (error as NodeJS.ErrnoException).syscall === 'uv_cwd';
  const message = gone ? 'the working directory is gone: cd to another one' : oneLine(messageOf(error));
  process.stderr.write(`weft: ${message}\n`);
  if (error instanceof Failure) for (const line of error.details) process.stderr.write(`  ${line}\n`);
  if (isOurBug(error)) process.stderr.write(`${(error as Error).stack}\n`);
}

/** `weft fsck` has the codes of fsck(8), which scripts that check filesystems know. */
function exitCodeOf(error: unknown): number {
  const isUsage = error instanceof UsageError;
  if (process.argv[2] === 'fsck') return isUsage ? FSCK_USAGE : FSCK_OPERATIONAL;
  return isUsage ? 2 : 1;
}

/** A plain programming error: its message alone helps nobody. */
function isOurBug(error: unknown): boolean {
  return error instanceof TypeError || error instanceof ReferenceError || (error as Error).name === 'AssertionError';
}

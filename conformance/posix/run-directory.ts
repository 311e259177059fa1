#!/usr/bin/env node
// run-directory.ts — runs the suite in one directory, as a process of its own: it changes directory, umask and credentials, and hangs
// if a mount hangs. Prints one JSON object. posix.ts is what a person calls.
// usage: run-directory [--full] DIR [SYSCALL…]

import { chmodSync, mkdtempSync, realpathSync } from 'node:fs';
import { join } from 'node:path';
import { filesystemType } from '../../scripts/sites/mounts.js';
import { must } from './libc.js';
import { PARTS } from './parts.js';
import { chdir, mkdir } from './path-calls.js';
import { type Assertion, type Part, Trial } from './trial.js';

export interface DirectoryReport {
  /** Where it worked; to be removed once this process, with all that it has open, has ended. */
  readonly work: string;
  /** As /proc/self/mountinfo names it. */
  readonly filesystem: string;
  readonly assertions: readonly Assertion[];
  readonly milliseconds: Readonly<Record<string, number>>;
}

function runPart(part: Part, name: string, trial: Trial): void {
  must('mkdir', mkdir(name, 0o777));
  must('chdir', chdir(name));
  try {
    trial.step(() => part.run(trial));
  } catch (error) {
    trial.about(part.syscalls[0]!);
    trial.holds(`the part ${name} comes to its end`, false, () => (error as Error).stack ?? String(error));
  }
  must('chdir', chdir('/'));
}

function main(args: readonly string[]): void {
  const full = args[0] === '--full';
  const [directory, ...syscalls] = full ? args.slice(1) : args;
  if (directory === undefined) throw new Error('usage: run-directory [--full] DIR [SYSCALL…]');
  process.umask(0);
  const work = mkdtempSync(join(realpathSync(directory), 'posix-'));
  chmodSync(work, 0o777);
  const watched = syscalls.length > 0 ? new Set(syscalls) : null;
  const filesystem = filesystemType(work);
  const trial = new Trial(filesystem, watched, full);
  const milliseconds: Record<string, number> = {};
  for (const [name, part] of Object.entries(PARTS)) {
    if (watched !== null && !part.syscalls.some((syscall) => watched.has(syscall))) continue;
    const started = performance.now();
    must('chdir', chdir(work));
    runPart(part, name, trial);
    milliseconds[name] = Math.round(performance.now() - started);
  }
  const report: DirectoryReport = { work, filesystem, assertions: trial.assertions, milliseconds };
  process.stdout.write(JSON.stringify(report));
}

main(process.argv.slice(2));

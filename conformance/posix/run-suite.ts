// run-suite.ts — runs the suite in a directory by the program run-directory.ts, which may hang with the directory's filesystem.

import { join } from 'node:path';
import { run } from '../../scripts/sites/command.js';
import type { DirectoryReport } from './run-directory.js';

const TIMEOUT_MS = 10 * 60_000;
const FULL_TIMEOUT_MS = 60 * 60_000;

export interface DirectoryResult extends DirectoryReport {
  readonly directory: string;
  readonly seconds: number;
}

/** Rejects when the suite does not come to its end. `only`: system calls; none: all. `full`: sizes that take minutes. */
export async function runSuite(directory: string, only: readonly string[], full = false): Promise<DirectoryResult> {
  const program = join(import.meta.dirname, 'run-directory.js');
  const started = performance.now();
  const { stdout, stderr, code } = await run(
    process.execPath,
    [program, ...(full ? ['--full'] : []), directory, ...only],
    {
      timeoutMs: full ? FULL_TIMEOUT_MS : TIMEOUT_MS,
    },
  );
  if (code !== 0) throw new Error(`the suite ended early in ${directory}: ${stderr.trim()}`);
  const seconds = (performance.now() - started) / 1000;
  const report = JSON.parse(stdout) as DirectoryReport;
  await remove(report.work);
  return { directory, seconds, ...report };
}

/** Not by Node: names in it are any bytes. */
async function remove(work: string): Promise<void> {
  // Only root gets into what the suite leaves without permissions.
  if (process.getuid!() !== 0) await run('chmod', ['-Rf', 'u+rwx', work]);
  const { code, stderr } = await run('rm', ['-rf', work], { timeoutMs: TIMEOUT_MS });
  if (code !== 0) throw new Error(`what the suite made cannot be removed: ${stderr.trim()}`);
}

// run-test-file.ts — runs one test file in a process group and a temporary directory of its own, and cleans up after it.
// Invariant: when this resolves, no process started by the file runs and nothing is mounted below its directory; had the
// file left either behind, that is a failure of its own. Nothing outside that directory is touched.

import { spawn } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { run } from '../sites/command.js';
import { detachBelow, mountsBelow } from '../sites/mounts.js';
import { processEnd, processesWithEnvironment, signalProcess } from '../sites/processes.js';
import type { TestOutcome } from './outcome-reporter.js';

const REPORTER = fileURLToPath(new URL('./outcome-reporter.js', import.meta.url));
/** Marks all processes that descend from a test file, daemons that left its process group included. */
const MARK = 'WEFT_TEST_FILE';
/** A daemon that was told to end may take so long to be gone. */
const GRACE_MS = 3000;
/** One that was killed is gone as soon as the kernel gets round to it. */
const KILL_TIMEOUT_MS = 5000;

export interface FileResult {
  passed: number;
  failed: number;
  skipped: number;
  seconds: number;
  /** Everything that the file printed, for when it failed. */
  output: string;
  /** What failed beyond single tests: crash, timeout, things left behind. Each counts as a failure. */
  troubles: string[];
}

/** Runs the compiled test file `path`; never rejects because of what the file does. */
export async function runTestFile(path: string, timeoutMs: number, signal?: AbortSignal): Promise<FileResult> {
  const directory = mkdtempSync(join(tmpdir(), 'weft-test-'));
  const mark = directory;
  chmodSync(directory, 0o1777);
  const reportPath = `${directory}.outcomes`;
  const startedMs = performance.now();
  const troubles: string[] = [];
  try {
    const { output, ended } = await runProcess(path, { directory, reportPath, mark, timeoutMs, signal });
    if (ended !== null) troubles.push(ended);
    troubles.push(...(await endLeftovers(directory, mark)));
    const outcomes = readOutcomes(reportPath);
    const count = (outcome: TestOutcome['outcome']): number => outcomes.filter((one) => one.outcome === outcome).length;
    const failedTests = count('failed');
    // A non-zero exit is explained by failed tests, if there are any.
    const unexplained = troubles.filter((trouble) => failedTests === 0 || !trouble.startsWith('exit code'));
    if (outcomes.length === 0 && unexplained.length === 0) unexplained.push('no test ran');
    return {
      passed: count('passed'),
      failed: failedTests + unexplained.length,
      skipped: count('skipped'),
      seconds: (performance.now() - startedMs) / 1000,
      output,
      troubles: unexplained,
    };
  } finally {
    rmSync(directory, { recursive: true, force: true });
    rmSync(reportPath, { force: true });
  }
}

interface ProcessOptions {
  directory: string;
  reportPath: string;
  mark: string;
  timeoutMs: number;
  signal: AbortSignal | undefined;
}

/** Resolves when the process has ended; `ended` says how, null for exit code 0. */
async function runProcess(path: string, options: ProcessOptions): Promise<{ output: string; ended: string | null }> {
  const { directory, reportPath, mark, timeoutMs, signal } = options;
  const { NODE_TEST_CONTEXT: _, ...environment } = process.env;
  const reporters = [
    '--test-reporter=spec',
    '--test-reporter-destination=stdout',
    `--test-reporter=${REPORTER}`,
    `--test-reporter-destination=${reportPath}`,
  ];
  const child = spawn(process.execPath, ['--enable-source-maps', ...reporters, path], {
    detached: true,
    env: { ...environment, TMPDIR: directory, WEFT_HOME: join(directory, 'weft-home'), [MARK]: mark },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => (output += text));
  }
  let timedOut = false;
  let aborted: Promise<void> | null = null;
  const killGroup = (): void => {
    signalProcess(-child.pid!, 'SIGKILL');
    aborted = abortMounts(directory);
  };
  const timer = setTimeout(() => {
    timedOut = true;
    killGroup();
  }, timeoutMs);
  signal?.addEventListener('abort', killGroup, { once: true });
  const [code, deathSignal] = await new Promise<[number | null, NodeJS.Signals | null]>((resolve) =>
    child.on('exit', (...how) => resolve(how)),
  );
  clearTimeout(timer);
  signal?.removeEventListener('abort', killGroup);
  // A daemon that was left behind may hold the pipes open: what came so far has to do.
  await Promise.race([new Promise((resolve) => child.on('close', resolve)), delay(500)]);
  child.stdout.destroy();
  child.stderr.destroy();
  if (aborted !== null) {
    await aborted;
    // A mount(8) that was under way when the group was killed may have come to its end after that.
    await abortMounts(directory);
  }
  if (timedOut) return { output, ended: `not done after ${timeoutMs / 1000} s, killed` };
  if (code === 0) return { output, ended: null };
  return { output, ended: deathSignal === null ? `exit code ${code}` : `died by ${deathSignal}` };
}

/**
 * Fails all calls that wait for FUSE daemons below `directory`. A process that waits for a mount which it serves itself
 * cannot be killed before that: the waiting thread does not die, and so the descriptor that would end the wait stays open.
 */
async function abortMounts(directory: string): Promise<void> {
  const mounts = process.platform === 'linux' ? mountsBelow(directory) : [];
  for (const { mountpoint } of mounts) await run('umount', ['--force', '--lazy', mountpoint]);
}

async function endLeftovers(directory: string, mark: string): Promise<string[]> {
  const troubles = [];
  const deadlineMs = performance.now() + GRACE_MS;
  let pids = processesWithEnvironment(MARK, mark);
  while (pids.length > 0 && performance.now() < deadlineMs) {
    await delay(50);
    pids = processesWithEnvironment(MARK, mark);
  }
  if (pids.length > 0) {
    troubles.push(`processes left behind: ${pids.map((pid) => `${pid} (${commandLine(pid)})`).join(', ')}`);
    for (const pid of pids) signalProcess(pid, 'SIGKILL');
    const ends = await Promise.allSettled(pids.map((pid) => processEnd(pid, KILL_TIMEOUT_MS)));
    for (const end of ends) if (end.status === 'rejected') troubles.push((end.reason as Error).message);
  }
  const mounts = process.platform === 'linux' ? mountsBelow(directory) : [];
  if (mounts.length > 0) {
    troubles.push(`mounts left behind: ${mounts.map(({ mountpoint, type }) => `${mountpoint} (${type})`).join(', ')}`);
    await detachBelow(directory);
  }
  return troubles;
}

function commandLine(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim();
  } catch (error) {
    // It ended meanwhile.
    return (error as NodeJS.ErrnoException).code ?? 'gone';
  }
}

function readOutcomes(path: string): TestOutcome[] {
  if (!existsSync(path)) return [];
  const lines = readFileSync(path, 'utf8').split('\n');
  // The last line may be cut where the process was killed.
  return lines.slice(0, -1).map((line) => JSON.parse(line) as TestOutcome);
}

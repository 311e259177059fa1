// background-site.ts — starts a site in a process of its own that outlives this one, and waits until it is mounted.
// The child is a session of its own with its output in the log; it takes its job, and reports, over Node's IPC channel.
// Invariant: this returns only with the tree mounted; otherwise the child has ended and its error is thrown.

import { spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { dataHome, logPathOf } from '../daemon/state-directory.js';
import type { Progress } from '../daemon/daemon-interface.js';
import { logTail, rotateLog } from './daemon-log.js';
import { Failure } from './failure.js';
import type { ReadySite, SiteJob, SiteReport } from './site-job.js';
import { explainDisk } from './state-disk.js';

const TAIL_LINES = 8;

/**
 * The heap of the main thread is some 15 MB, and V8 counts the buffers of what peers send with it, which live outside. Left to itself it
 * marks the whole heap again for every 9 MB that come, a third of the time that content takes. Below this it need not, MiB: the heap, a
 * window of objects on each of some links, and what was read ahead. Until then scavenges free these buffers, for all of them are young.
 */
const FIRST_MARKING_MIB = 128;
const V8_OPTIONS = [`--initial-old-space-size=${FIRST_MARKING_MIB}`];

/** `command` is the program that runs {@link serveJob} in lib/cli/daemon-process.ts, with its arguments, e.g. [main.js, 'daemon']. */
export async function startInBackground(
  command: readonly string[],
  job: SiteJob,
  onProgress: (progress: Progress) => void,
): Promise<ReadySite> {
  const logPath = logPathOf(job.directory);
  const logFd = openLogFor(job, logPath);
  const child = spawn(process.execPath, [...V8_OPTIONS, ...process.execArgv, ...command], {
    detached: true,
    cwd: '/',
    env: { ...process.env, WEFT_HOME: dataHome() },
    stdio: ['ignore', logFd, logFd, 'ipc'],
  });
  closeSync(logFd);
  const interrupt = (): void => void child.kill('SIGTERM');
  process.on('SIGINT', interrupt).on('SIGTERM', interrupt);
  try {
    return await new Promise<ReadySite>((resolve, reject) => {
      let failure: Failure | null = null;
      child.on('message', (message) => {
        const report = message as SiteReport;
        if (report.kind === 'progress') onProgress(report.progress);
        else if (report.kind === 'ready') resolve(report.site);
        else failure = new Failure(report.message);
      });
      child.on('error', (error) => reject(new Failure(`the daemon could not be started: ${error.message}`)));
      child.on('exit', (code, signal) => reject(failure ?? diedEarly(logPath, code, signal)));
      child.send(job, (error) => {
        // A child that is gone already is reported by its exit.
        if (error && child.exitCode === null && child.signalCode === null) child.kill('SIGTERM');
      });
    });
  } finally {
    process.off('SIGINT', interrupt).off('SIGTERM', interrupt);
    // From here on the child's end is no failure of ours.
    child.removeAllListeners();
    if (child.connected) child.disconnect();
    child.unref();
  }
}

/** The first write to the state directory: what its disk has to say is said here. */
function openLogFor({ directory, kind }: SiteJob, logPath: string): number {
  try {
    rotateLog(logPath);
    return openSync(logPath, 'a', 0o600);
  } catch (error) {
    throw explainDisk(directory, error, kind === 'mount');
  }
}

function diedEarly(logPath: string, code: number | null, signal: NodeJS.Signals | null): Failure {
  const how = signal === null ? `with exit code ${code}` : `by ${signal}`;
  const message = `the daemon ended ${how} before the volume was mounted; the end of ${logPath} says why`;
  return new Failure(message, logTail(logPath, TAIL_LINES));
}

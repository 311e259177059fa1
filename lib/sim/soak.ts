// soak.ts — many schedules one after the other, on several threads: the main thread's side.
// Invariant: a seed is played by exactly one thread, and a failure is reported shrunk, with what replays it. However it ends, no thread
// runs any more and what they wrote is gone.

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { Worker } from 'node:worker_threads';
import { scratchDirectory } from './scratch-directory.js';
import { Totals } from './totals.js';

export interface SoakOptions {
  readonly firstSeed: number;
  /** How many; the soak ends earlier when the time is over. */
  readonly schedules: number;
  readonly withinMs: number;
  readonly sites?: number | undefined;
  readonly steps?: number | undefined;
  readonly threads: number;
  /** Whether the first failure ends it, and is not shrunk. */
  readonly failFast: boolean;
}

export interface Failure {
  readonly seed: number;
  readonly siteCount: number;
  /** Steps before they were shrunk. */
  readonly stepCount: number;
  readonly wrong: readonly string[];
  /** As history.ts has it. */
  readonly history: string;
}

/** What a thread is given to play. */
export interface Share {
  readonly options: SoakOptions;
  readonly first: number;
  readonly every: number;
  /** Where it writes. */
  readonly directory: string;
  /** One number; not 0 when it is to end after the run that it plays. */
  readonly stop: Int32Array;
}

/** What a thread says: after some schedules, or when one failed. */
export type FromShare =
  | { readonly type: 'played'; readonly totals: readonly (readonly [string, number])[] }
  | { readonly type: 'failed'; readonly failure: Failure };

export interface SoakReport {
  readonly totals: Totals;
  readonly failures: readonly Failure[];
}

/** Most of what a schedule makes is garbage soon after: a large nursery halves the time that collecting takes. */
const YOUNG_MIB = 128;
/** Collecting the old ones each time that a heap of 20 MiB has grown by a third takes another fifth. */
const INITIAL_HEAP_MIB = 600;

/**
 * Plays them all; resolves when every thread is through. Rejects when a thread itself fails.
 * A thread is asked to end and never terminated: in the middle of an add-on's call that aborts the process (koffi's load does).
 * @param stop ends it before, after the runs that are being played
 */
export async function soak(
  options: SoakOptions,
  progress: (totals: Totals) => void,
  failed: (failure: Failure) => void,
  stop?: AbortSignal,
): Promise<SoakReport> {
  setFlagsFromString(`--initial-heap-size=${INITIAL_HEAP_MIB}`);
  const totals = new Totals();
  const failures: Failure[] = [];
  const scratch = scratchDirectory();
  const stopped = new Int32Array(new SharedArrayBuffer(4));
  const end = (): void => void Atomics.store(stopped, 0, 1);
  const threads = Array.from({ length: options.threads }, (_, i) => {
    const directory = join(scratch.path, `thread-${i}`);
    mkdirSync(directory);
    const share: Share = { options, first: options.firstSeed + i, every: options.threads, directory, stop: stopped };
    const worker = new Worker(new URL('./soak-thread.js', import.meta.url), {
      workerData: share,
      resourceLimits: { maxYoungGenerationSizeMb: YOUNG_MIB },
    });
    worker.on('message', (message: FromShare) => {
      if (message.type === 'played') {
        totals.addAll(message.totals);
        progress(totals);
        return;
      }
      failures.push(message.failure);
      failed(message.failure);
      if (options.failFast) end();
    });
    return new Promise<void>((resolve, reject) => {
      worker.on('error', (error) => {
        end();
        reject(error);
      });
      worker.on('exit', (code) => (code === 0 ? resolve() : reject(new Error(`a thread ended with code ${code}`))));
    });
  });
  if (stop?.aborted) end();
  stop?.addEventListener('abort', end);
  const ended = await Promise.allSettled(threads);
  scratch.remove();
  const broken = ended.find((thread) => thread.status === 'rejected');
  if (broken) throw broken.reason;
  return { totals, failures };
}

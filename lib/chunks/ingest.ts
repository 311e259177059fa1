// ingest.ts — turning working copies into versions, seen from the main thread: jobs, results, and the pool of threads.
// Invariant: every job given to `run` is answered exactly once, in whatever order. A job that fails has left nothing that an
// index names; running it again is always safe.

import { Worker } from 'node:worker_threads';
import { CorruptionError } from '../codec/bytes.js';
import type { ObjectId } from '../crdt/ids.js';
import { posixError } from '../errno.js';
import type { ErrnoCode } from '../errno.js';
import { AbsentObjects } from './absent-objects.js';
import type { PackedObject } from './pack.js';

/** A working copy to be turned into a version. Can be sent between threads. */
export interface IngestJob {
  /** Chosen by whoever asks; comes back in the result. */
  readonly jobId: number;
  /** The working copy's local file. */
  readonly path: string;
  /** Bytes of the file. */
  readonly size: number;
  /** Encoded manifest of the version that it is based on; null: none. */
  readonly base: Uint8Array | null;
  /** Start, end, start, end, … of what was changed since the base, ascending. What lies past the base's end counts as changed. */
  readonly changed: readonly number[];
}

/** What a job gave. Everything in `objects` is on stable storage. */
export interface IngestResult {
  readonly jobId: number;
  readonly manifestId: ObjectId;
  readonly manifest: Uint8Array;
  /** What the site did not hold yet, the manifest included: for ObjectStore.adopt. */
  readonly objects: readonly PackedObject[];
}

/** How an error crosses from a worker to the pool. */
export type IngestFailure = { readonly jobId: number; readonly message: string } & (
  | { readonly failed: 'absent'; readonly ids: readonly ObjectId[] }
  | { readonly failed: 'posix'; readonly code: ErrnoCode }
  | { readonly failed: 'corrupt' | 'other' }
);

export interface IngestWorkerData {
  readonly databasePath: string;
  readonly objectsDirectory: string;
}

/** What a worker is told, and takes in this order. */
export type ToIngestWorker =
  | { readonly jobs: readonly IngestJob[] }
  /** Write to a new pack from now on; answered by 'sealed'. */
  | { readonly seal: true }
  /** These packs are gone. */
  | { readonly forget: readonly string[] }
  | { readonly close: true };

interface Waiting {
  readonly job: IngestJob;
  readonly resolve: (result: IngestResult) => void;
  readonly reject: (error: Error) => void;
}

interface Runner {
  readonly worker: Worker;
  /** In the order in which they were sent and will be answered. */
  running: Waiting[];
  /** To be called when it wrote its last record to the packs there are, or ended. */
  readonly sealed: (() => void)[];
}

const MAX_WORKERS = 2;
/** Waiting jobs go to a thread together, up to this many and these bytes: one fdatasync makes all of them durable. */
const BATCH_JOBS = 256;
const BATCH_BYTES = 32 << 20;

/** Runs jobs on worker threads, which are started when first needed. For a thread with an event loop. */
export class IngestPool {
  private readonly data: IngestWorkerData;
  private readonly maxWorkers: number;
  private readonly runners = new Set<Runner>();
  private readonly queue: Waiting[] = [];
  private closed = false;

  /** `databasePath`, `objectsDirectory`: of the site's ObjectStore, whose tables are committed. */
  constructor(databasePath: string, objectsDirectory: string, maxWorkers = MAX_WORKERS) {
    this.data = { databasePath, objectsDirectory };
    this.maxWorkers = maxWorkers;
  }

  /** Rejects with AbsentObjects (bytes of the base are needed and not held), PosixError (e.g. ENOSPC) or CorruptionError. */
  run(job: IngestJob): Promise<IngestResult> {
    if (this.closed) return Promise.reject(new Error('the ingest pool is closed'));
    return new Promise((resolve, reject) => {
      this.queue.push({ job, resolve, reject });
      this.dispatch();
    });
  }

  private dispatch(): void {
    while (this.queue.length > 0) {
      const runner = this.idleRunner();
      if (!runner) return;
      runner.running = this.takeBatch();
      tell(runner, { jobs: runner.running.map(({ job }) => job) });
    }
  }

  private takeBatch(): Waiting[] {
    let count = 1;
    for (let bytes = this.queue[0]!.job.size; count < Math.min(this.queue.length, BATCH_JOBS); count++) {
      bytes += this.queue[count]!.job.size;
      if (bytes > BATCH_BYTES) break;
    }
    return this.queue.splice(0, count);
  }

  private idleRunner(): Runner | undefined {
    for (const runner of this.runners) if (runner.running.length === 0) return runner;
    return this.runners.size < this.maxWorkers ? this.startRunner() : undefined;
  }

  private startRunner(): Runner {
    const worker = new Worker(new URL('./ingest-worker.js', import.meta.url), { workerData: this.data });
    const runner: Runner = { worker, running: [], sealed: [] };
    let crash: Error | undefined;
    worker.on('message', (answer: (IngestResult | IngestFailure)[] | 'sealed') => {
      if (answer === 'sealed') runner.sealed.shift()!();
      else this.finish(runner, answer);
    });
    worker.on('error', (error) => (crash = error));
    worker.on('exit', (code) => {
      this.runners.delete(runner);
      for (const done of runner.sealed) done();
      for (const { reject } of runner.running) reject(crash ?? new Error(`an ingest thread ended with code ${code}`));
      if (!this.closed) this.dispatch();
    });
    this.runners.add(runner);
    return runner;
  }

  private finish(runner: Runner, answers: readonly (IngestResult | IngestFailure)[]): void {
    const { running } = runner;
    runner.running = [];
    for (const [i, answer] of answers.entries()) {
      if ('failed' in answer) running[i]!.reject(errorOf(answer));
      else running[i]!.resolve(answer);
    }
    this.dispatch();
  }

  /** Resolves when what the workers pack from now on goes to new packs. */
  async seal(): Promise<void> {
    await Promise.all(
      [...this.runners].map(
        (runner) =>
          new Promise<void>((resolve) => {
            runner.sealed.push(resolve);
            tell(runner, { seal: true });
          }),
      ),
    );
  }

  /** A collection removed these packs. */
  forgetPacks(packs: readonly string[]): void {
    for (const runner of this.runners) tell(runner, { forget: packs });
  }

  /** Lets running jobs end, rejects waiting ones, and ends the threads. */
  async close(): Promise<void> {
    this.closed = true;
    for (const { reject } of this.queue.splice(0)) reject(new Error('the ingest pool was closed'));
    const ended = [...this.runners].map(({ worker }) => new Promise((resolve) => worker.once('exit', resolve)));
    for (const runner of this.runners) tell(runner, { close: true });
    await Promise.all(ended);
  }
}

function tell({ worker }: Runner, message: ToIngestWorker): void {
  worker.postMessage(message, []);
}

function errorOf(answer: IngestFailure): Error {
  switch (answer.failed) {
    case 'absent':
      return new AbsentObjects(answer.ids);
    case 'posix':
      return posixError(answer.code);
    case 'corrupt':
      return new CorruptionError(answer.message);
    case 'other':
      return new Error(answer.message);
  }
}

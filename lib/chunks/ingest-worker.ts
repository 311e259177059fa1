// ingest-worker.ts — the thread that turns working copies into versions (ingester.ts). Started by IngestPool.

import { parentPort, workerData } from 'node:worker_threads';
import type { IngestFailure, IngestJob, IngestResult, IngestWorkerData, ToIngestWorker } from './ingest.js';
import { failure, Ingester } from './ingester.js';

/** The site thread commits every few milliseconds; what it was just given may take that long to be seen here. */
const COMMIT_WAIT_MS = 5;
const COMMIT_WAITS = 20;

function awaitCommit(isThere: () => boolean): void {
  const sleeper = new Int32Array(new SharedArrayBuffer(4));
  for (let waits = 0; waits < COMMIT_WAITS && !isThere(); waits++) Atomics.wait(sleeper, 0, 0, COMMIT_WAIT_MS);
}

const port = parentPort;
if (!port) throw new Error('ingest-worker runs as a worker thread only');
let ingester: Ingester | undefined;
port.on('message', (message: ToIngestWorker) => {
  if ('jobs' in message) port.postMessage(answer(message.jobs), []);
  else if ('forget' in message) ingester?.forgetPacks(message.forget);
  else if ('seal' in message) {
    ingester?.seal();
    port.postMessage('sealed', []);
  } else {
    ingester?.close();
    port.close();
  }
});

function answer(jobs: readonly IngestJob[]): (IngestResult | IngestFailure)[] {
  try {
    ingester ??= new Ingester(workerData as IngestWorkerData, awaitCommit);
  } catch (error) {
    return jobs.map((job) => failure(job, error)); // e.g. the database cannot be opened now
  }
  return ingester.run(jobs);
}

// checkpoint-thread.ts — a worker thread that waits for the disk in the site thread's place: checkpoints, and the intent log's next segment.
// Invariant: stop() resolves once the thread has closed its connection; abandon() never closes it.
// See checkpointer.ts and segment-supply.ts for what it does.

import { Worker } from 'node:worker_threads';
import type { CheckpointerOptions } from './checkpointer.js';

export interface CheckpointThread {
  /** Ends the thread after the pass that it is at. */
  stop(): Promise<void>;
  /**
   * Leaves it without work, and with its connection open, until the process ends. For a disk that failed: the last connection that is closed
   * copies the log to the database and removes it, and where a part of that was copied before it syncs again what the system gave up.
   */
  abandon(): void;
}

/**
 * Starts checkpointing the state of a directory where a Journal is open.
 * @param onError told when the thread ended by itself, e.g. because the disk fails
 */
export function startCheckpointThread(
  directory: string,
  onError: (error: Error) => void,
  options: CheckpointerOptions = {},
): CheckpointThread {
  const worker = new Worker(new URL('checkpoint-worker.js', import.meta.url), {
    workerData: { directory, options },
    // Its descriptor of the database must outlive it, see checkpointer.ts.
    trackUnmanagedFds: false,
  });
  const exited = new Promise<void>((resolve) => worker.once('exit', () => resolve()));
  worker.on('error', onError);
  return {
    async stop() {
      // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a worker thread has no origin
      worker.postMessage('stop');
      await exited;
    },
    abandon() {
      // oxlint-disable-next-line unicorn/require-post-message-target-origin -- likewise
      worker.postMessage('rest');
      worker.unref();
    },
  };
}

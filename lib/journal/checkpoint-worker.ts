// checkpoint-worker.ts — what runs in the thread that checkpoint-thread.ts starts.
// Not to be imported: it begins to work when it is loaded.

import { parentPort, workerData } from 'node:worker_threads';
import { Checkpointer } from './checkpointer.js';
import type { CheckpointerOptions } from './checkpointer.js';

const IDLE_POLL_MS = 20;
/** While there is much to copy: a breath for messages. */
const BUSY_POLL_MS = 1;

const { directory, options } = workerData as { directory: string; options: CheckpointerOptions };
const checkpointer = Checkpointer.open(directory, options);
let timer = setTimeout(poll, IDLE_POLL_MS);

function poll(): void {
  const worked = checkpointer.poll();
  timer = setTimeout(poll, worked ? BUSY_POLL_MS : IDLE_POLL_MS);
}

parentPort!.on('message', () => {
  clearTimeout(timer);
  checkpointer.close();
  parentPort!.close();
});

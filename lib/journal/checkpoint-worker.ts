// checkpoint-worker.ts — what runs in the thread that checkpoint-thread.ts starts.
// Not to be imported: it begins to work when it is loaded.

import { parentPort, workerData } from 'node:worker_threads';
import { Checkpointer } from './checkpointer.js';
import type { CheckpointerOptions } from './checkpointer.js';

const POLL_MS = 20;

const { directory, options } = workerData as { directory: string; options: CheckpointerOptions };
const checkpointer = Checkpointer.open(directory, options);
const timer = setInterval(() => checkpointer.poll(), POLL_MS);

parentPort!.on('message', () => {
  clearInterval(timer);
  checkpointer.close();
  parentPort!.close();
});

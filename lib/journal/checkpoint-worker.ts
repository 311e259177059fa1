// checkpoint-worker.ts — what runs in the thread that checkpoint-thread.ts starts: checkpoints, and room on the disk for what is to come.
// Not to be imported: it begins to work when it is loaded.

import { parentPort, workerData } from 'node:worker_threads';
import { Checkpointer } from './checkpointer.js';
import type { CheckpointerOptions } from './checkpointer.js';
import { intentPath, SEGMENT_BYTES } from './intent-log.js';
import { supplySegment } from './segment-supply.js';
import { WalRoom } from './wal-room.js';

const IDLE_POLL_MS = 20;
/** While there is much to copy: a breath for messages. */
const BUSY_POLL_MS = 1;
/** A disk that had no room is asked again after this many polls. */
const POLLS_WITHOUT_ROOM = 500;

const { directory, options } = workerData as { directory: string; options: CheckpointerOptions };
const checkpointer = Checkpointer.open(directory, options);
const walRoom = new WalRoom(directory);
let timer = setTimeout(poll, IDLE_POLL_MS);
let pollsToWait = 0;

function poll(): void {
  const worked = checkpointer.poll();
  if (pollsToWait > 0) pollsToWait--;
  else supply();
  timer = setTimeout(poll, worked ? BUSY_POLL_MS : IDLE_POLL_MS);
}

function supply(): void {
  try {
    supplySegment(intentPath(directory), SEGMENT_BYTES);
    if (!walRoom.keep(checkpointer.walBytes)) pollsToWait = POLLS_WITHOUT_ROOM;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
    pollsToWait = POLLS_WITHOUT_ROOM;
  }
}

parentPort!.on('message', (order: 'stop' | 'rest') => {
  clearTimeout(timer);
  if (order === 'rest') return;
  checkpointer.close();
  parentPort!.close();
});

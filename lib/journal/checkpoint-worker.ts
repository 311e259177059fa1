// checkpoint-worker.ts — what runs in the thread that checkpoint-thread.ts starts: checkpoints, and room on the disk for what is to come.
// Not to be imported: it begins to work when it is loaded.

import { parentPort, workerData } from 'node:worker_threads';
import { isScarce, roomBesideReserve } from '../disk-reserve.js';
import { isNoRoom } from '../errno.js';
import { Checkpointer } from './checkpointer.js';
import type { CheckpointerOptions } from './checkpointer.js';
import { intentPath, SEGMENT_BYTES } from './intent-log.js';
import { supplySegment } from './segment-supply.js';

const IDLE_POLL_MS = 20;
/** While there is much to copy: a breath for messages. */
const BUSY_POLL_MS = 1;
/** How full the disk is is looked at every so many polls. */
const POLLS_BETWEEN_LOOKS = 25;
/** A disk that had no room is asked again after this many polls: there may be hundreds of megabytes to copy again. */
const POLLS_WITHOUT_ROOM = 500;
/** For the room that commits need: soon, for they use it up as soon as the disk has some, and another program may fill it again. */
const POLLS_WITHOUT_COMMIT_ROOM = 5;

const { directory, options } = workerData as { directory: string; options: CheckpointerOptions };
const checkpointer = Checkpointer.open(directory, options);
let timer = setTimeout(poll, IDLE_POLL_MS);
let polls = 0;
/** The disk gives commits no more, whatever statfs(2) says: a quota may be used up. */
let lacksRoom = false;
/** From these polls on it is worth asking the disk for room: for commits, … */
let commitRoomFrom = 0;
/** … for a segment of the log of operations, … */
let segmentFrom = 0;
/** … and for a pass. */
let passFrom = 0;

function poll(): void {
  if (polls++ % POLLS_BETWEEN_LOOKS === 0) checkpointer.shorten(lacksRoom || isScarce(roomBesideReserve(directory)));
  if (polls >= commitRoomFrom) keepRoom();
  if (polls >= segmentFrom && !supplySegment(intentPath(directory), SEGMENT_BYTES))
    segmentFrom = polls + POLLS_WITHOUT_ROOM;
  const pass = polls >= passFrom ? checkpointer.poll() : 'none';
  if (pass === 'lacksRoom') passFrom = polls + POLLS_WITHOUT_ROOM;
  timer = setTimeout(poll, pass === 'made' ? BUSY_POLL_MS : IDLE_POLL_MS);
}

function keepRoom(): void {
  const refusal = checkpointer.keepRoom();
  lacksRoom = isNoRoom({ code: refusal });
  if (refusal) commitRoomFrom = polls + POLLS_WITHOUT_COMMIT_ROOM;
}

parentPort!.on('message', (order: 'stop' | 'rest') => {
  clearTimeout(timer);
  if (order === 'rest') return;
  checkpointer.close();
  parentPort!.close();
});

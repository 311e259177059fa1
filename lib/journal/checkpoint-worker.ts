// checkpoint-worker.ts — what runs in the thread that checkpoint-thread.ts starts: checkpoints, and room on the disk for what is to come.
// Not to be imported: it begins to work when it is loaded.

import { parentPort, workerData } from 'node:worker_threads';
import { isScarce, roomBesideReserve } from '../disk-reserve.js';
import { isNoRoom } from '../errno.js';
import { Checkpointer } from './checkpointer.js';
import type { CheckpointerOptions } from './checkpointer.js';
import { intentPath, SEGMENT_BYTES } from './intent-log.js';
import { supplySegment } from './segment-supply.js';

/** While the site commits … */
const POLL_MS = 20;
/** … and once it has not for a while: each look wakes a processor. */
const LONGEST_IDLE_POLL_MS = 320;
/** While there is much to copy: a breath for messages. */
const BUSY_POLL_MS = 1;
/** How often it is looked how full the disk is. */
const LOOK_EVERY_MS = 500;
/** When a disk that had no room is asked again: there may be hundreds of megabytes to copy again. */
const WITHOUT_ROOM_MS = 10_000;
/** For the room that commits need: soon, for they use it up as soon as the disk has some, and another program may fill it again. */
const WITHOUT_COMMIT_ROOM_MS = 100;

const { directory, options } = workerData as { directory: string; options: CheckpointerOptions };
const checkpointer = Checkpointer.open(directory, options);
let timer = setTimeout(poll, POLL_MS);
let intervalMs = POLL_MS;
let logBytes = 0;
/** The disk gives commits no more, whatever statfs(2) says: a quota may be used up. */
let lacksRoom = false;
/** From these moments on it is worth looking at the disk, … */
let lookFromMs = 0;
/** … and asking it for room: for commits, … */
let commitRoomFromMs = 0;
/** … for a segment of the log of operations, … */
let segmentFromMs = 0;
/** … and for a pass. */
let passFromMs = 0;

function poll(): void {
  const nowMs = performance.now();
  if (nowMs >= lookFromMs) {
    checkpointer.shorten(lacksRoom || isScarce(roomBesideReserve(directory)));
    lookFromMs = nowMs + LOOK_EVERY_MS;
  }
  if (nowMs >= commitRoomFromMs) keepRoom(nowMs);
  if (nowMs >= segmentFromMs && !supplySegment(intentPath(directory), SEGMENT_BYTES))
    segmentFromMs = nowMs + WITHOUT_ROOM_MS;
  const pass = checkpointer.poll(nowMs >= passFromMs);
  if (pass === 'lacksRoom') passFromMs = nowMs + WITHOUT_ROOM_MS;
  const isIdle = checkpointer.logBytes === logBytes && !lacksRoom;
  logBytes = checkpointer.logBytes;
  intervalMs = isIdle ? Math.min(2 * intervalMs, LONGEST_IDLE_POLL_MS) : POLL_MS;
  timer = setTimeout(poll, pass === 'made' ? BUSY_POLL_MS : intervalMs);
}

function keepRoom(nowMs: number): void {
  const refusal = checkpointer.keepRoom();
  lacksRoom = isNoRoom({ code: refusal });
  if (refusal) commitRoomFromMs = nowMs + WITHOUT_COMMIT_ROOM_MS;
}

parentPort!.on('message', (order: 'stop' | 'rest') => {
  clearTimeout(timer);
  if (order === 'rest') return;
  checkpointer.close();
  parentPort!.close();
});

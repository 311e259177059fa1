// notifier-thread.ts — the worker thread that writes the notices of notifier.ts to the kernel. Ends when it is told to, or with the mount.
// ENOENT is the usual answer: the kernel had nothing cached. So it must not become an Error: making those took a seventh of all processor
// time of a merge. EBUSY and ENOTEMPTY refuse only the inotify part of a deletion.

import { constants } from 'node:os';
import { parentPort, workerData } from 'node:worker_threads';

import { type NotifierStart, SHARED } from './notifier.js';
import { write } from './system-calls.js';

const { fd, shared } = workerData as NotifierStart;
const { ENODEV, ENOTCONN } = constants.errno;
const EXPECTED = new Set<number>([
  constants.errno.ENOENT,
  constants.errno.EBUSY,
  constants.errno.ENOTEMPTY,
  constants.errno.ENOTDIR,
]);

/** The mount has ended: there is nobody to tell. */
let ended = false;

function writeNotice(notice: Buffer): void {
  const errno = -write(fd, notice, notice.length);
  if (errno <= 0) return;
  if (errno === ENODEV || errno === ENOTCONN) ended = true;
  else if (!EXPECTED.has(errno)) {
    Atomics.store(shared, SHARED.LAST_ERRNO, errno);
    Atomics.add(shared, SHARED.FAILURES, 1);
  }
}

/** Notices stand one behind the other; each begins with its length. */
function writeBatch(bytes: Uint8Array): void {
  const batch = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 0; at < batch.length && !ended;) {
    const end = at + batch.readUInt32LE(at);
    writeNotice(batch.subarray(at, end));
    at = end;
  }
}

parentPort!.on('message', (bytes: Uint8Array | null) => {
  if (bytes === null) {
    Atomics.store(shared, SHARED.ENDED, 1);
    Atomics.notify(shared, SHARED.ENDED);
    parentPort!.close();
    return;
  }
  writeBatch(bytes);
  Atomics.add(shared, SHARED.WRITTEN_BATCHES, 1);
});

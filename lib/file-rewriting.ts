// file-rewriting.ts — writing a file again where it is, for a disk that failed to take it (failed-sync-mark.ts). For all layers that touch
// the disk; none of the pure files.
// Invariant: the file is what it was, its time of modification too.

import { closeSync, fstatSync, fsyncSync, openSync, readSync, writeSync } from 'node:fs';
import { seekData, seekHole, setModified } from './file-calls.js';

const REWRITE_BYTES = 1 << 20;
const PAGE_BYTES = 4096;

/**
 * Writes a file again as it is, and syncs it: also what the system has given up to write is then on the disk. Pages that cannot be read
 * stay as they are: whoever reads them is told.
 * @param fromBytes what lies before is known to be there
 * @throws Error of node:fs, and PosixError
 */
export function rewriteFile(path: string, fromBytes = 0): void {
  const fd = openSync(path, 'r+');
  try {
    const { mtimeNs } = fstatSync(fd, { bigint: true });
    const buffer = Buffer.allocUnsafe(REWRITE_BYTES);
    for (let at = seekData(fd, fromBytes); at >= 0; at = seekData(fd, at)) {
      const end = seekHole(fd, at);
      while (at < end) {
        const count = readUpTo(fd, buffer, Math.min(buffer.length, end - at), at);
        for (let done = 0; done < count;) done += writeSync(fd, buffer, done, count - done, at + done);
        at = count > 0 ? at + count : nextPage(at);
        setModified(fd, mtimeNs);
      }
    }
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** How many bytes could be read: of those asked for, else of the page at `at`; 0 when that cannot be read. */
function readUpTo(fd: number, buffer: Buffer, length: number, at: number): number {
  try {
    return readSync(fd, buffer, 0, length, at);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EIO') throw error;
    const ofPage = Math.min(length, nextPage(at) - at);
    return ofPage < length ? readUpTo(fd, buffer, ofPage, at) : 0;
  }
}

function nextPage(at: number): number {
  return (Math.floor(at / PAGE_BYTES) + 1) * PAGE_BYTES;
}

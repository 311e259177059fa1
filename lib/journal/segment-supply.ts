// segment-supply.ts — makes segments for the intent log in advance, so that a sync of the log is one short write to the disk.
// Invariant: what lies at the supplied path is zeros, all on stable storage; it appears there in one rename.
// Measured (ext4, virtio disk), fdatasync(2) after 4 KiB stored through the mapping: 90 µs in such a file; 160 µs in one that was
// only fallocated, for its extents change from unwritten to written; 420 µs in one that was filled by large writes, for the page
// cache then holds it in large folios and a folio is written back whole. So it is filled by one write(2) for each page.

import { closeSync, existsSync, fdatasyncSync, mkdirSync, openSync, renameSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { isNoRoom } from '../errno.js';

const PAGE = Buffer.alloc(4096);

/** Where the log of this directory looks for its next segment. */
export function suppliedPath(directory: string): string {
  return join(directory, 'ready');
}

/**
 * Makes a segment file of `sizeBytes`, a multiple of 4096, unless one is there. Blocks for as long as the disk takes.
 * @returns false when there is no room for it: without it the log makes its segments itself, as long as there is some
 * @throws Error of node:fs
 */
export function supplySegment(directory: string, sizeBytes: number): boolean {
  const path = suppliedPath(directory);
  if (existsSync(path)) return true;
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const unfinished = `${path}.tmp`;
  try {
    fillWithZeros(unfinished, sizeBytes);
  } catch (error) {
    rmSync(unfinished, { force: true });
    if (isNoRoom(error)) return false;
    throw error;
  }
  renameSync(unfinished, path);
  return true;
}

function fillWithZeros(path: string, sizeBytes: number): void {
  const fd = openSync(path, 'w', 0o600);
  try {
    for (let at = 0; at < sizeBytes;) at += writeSync(fd, PAGE, 0, PAGE.length, at);
    fdatasyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

// writable-content.ts — the bytes of a file that is being written, as POSIX calls see them.
// Two implementations behave the same up to their sizes: small-content.ts (memory) and working-copy.ts (a sparse local file).
// Neither knows names, inodes or versions: the volume turns their bytes into a new version.

import { PosixError } from '../errno.js';

/** fallocate(2) modes, linux/falloc.h. Punching a hole comes with FALLOC_KEEP_SIZE, as the kernel demands. */
export const FALLOC_KEEP_SIZE = 1;
export const FALLOC_PUNCH_HOLE = 2;
export const FALLOC_COLLAPSE_RANGE = 8;
export const FALLOC_ZERO_RANGE = 16;
export const FALLOC_INSERT_RANGE = 32;

/** What COLLAPSE_RANGE and INSERT_RANGE must be aligned to, and the unit in which space is used: bytes. */
export const BLOCK_BYTES = 4096;
/** The unit of st_blocks: bytes. */
export const SECTOR_BYTES = 512;

/**
 * Offsets and lengths are bytes, safe integers ≥ 0 (the caller's system call guarantees it). Every method that needs bytes this
 * site does not hold throws AbsentObjects, naming all of them, before it changes anything: the same call works once they came.
 */
export interface WritableContent {
  readonly size: number;
  /** Copies up to `length` bytes at `offset` into `into` at `at`; returns how many, less than asked only at the end of the file. */
  read(offset: number, length: number, into: Buffer, at: number): number;
  /** Takes all of `data`, which is only valid during the call; the size grows where it ends past the end. EFBIG, ENOSPC. */
  write(offset: number, data: Uint8Array): void;
  /** Cuts, or grows with a hole. EFBIG. */
  truncate(size: number): void;
  /** fallocate(2) with mode 0, KEEP_SIZE, PUNCH_HOLE|KEEP_SIZE, ZERO_RANGE, ZERO_RANGE|KEEP_SIZE, COLLAPSE_RANGE or INSERT_RANGE;
   * EOPNOTSUPP for any other. EINVAL, EFBIG, ENOSPC as the man page has it. */
  fallocate(mode: number, offset: number, length: number): void;
  /** lseek(2) SEEK_DATA: the first byte at or after `offset` that may hold data. ENXIO where there is none. */
  seekData(offset: number): number;
  /** lseek(2) SEEK_HOLE: the first hole at or after `offset`; the end of the file counts as one. ENXIO at or past the end. */
  seekHole(offset: number): number;
  /** Space in use, in units of 512 bytes. */
  blocks(): number;
  /** Frees what is held in memory and open; a local file stays. */
  close(): void;
}

/** How many bytes of a range have no data: in holes, and past the end. */
export function holeBytes(
  content: Pick<WritableContent, 'size' | 'seekData' | 'seekHole'>,
  from: number,
  to: number,
): number {
  const end = Math.min(to, content.size);
  let bytes = to - Math.max(from, end);
  for (let at = from; at < end;) {
    const hole = Math.min(content.seekHole(at), end);
    const data = hole < end ? nextData(content, hole, end) : end;
    bytes += data - hole;
    at = data;
  }
  return bytes;
}

function nextData(content: Pick<WritableContent, 'seekData'>, from: number, end: number): number {
  try {
    return Math.min(content.seekData(from), end);
  } catch (error) {
    if (!(error instanceof PosixError && error.code === 'ENXIO')) throw error;
    return end;
  }
}

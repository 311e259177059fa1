// page-sums.ts — a sum of each page of state.db while nobody has it open: what guards the bytes that SQLite does not check.
// Invariant: `state.sums` exists only while it is true: it is written after the last connection closed in an orderly way and SQLite
// removed its log, and removed before the next one writes. While the site runs, and after a crash, row sums take its place
// (row-sum.ts), and SQLite's log has sums of its own.
//
//   'WEFTSUMS'  u32 version = 1  u32 bytes of a page  u32 pages  then per page u32 CRC-32 seeded with its number  u32 CRC-32 of all before

import {
  closeSync,
  existsSync,
  fdatasyncSync,
  fstatSync,
  fsyncSync,
  openSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { crc32 } from 'node:zlib';
import { flippedBit, isSingleBit } from '../codec/flipped-bit.js';
import { syncPath } from '../file-sync.js';

const MAGIC = Buffer.from('WEFTSUMS', 'latin1');
const VERSION = 1;
const HEADER_BYTES = 20;
const SUM_BYTES = 4;
const READ_PAGES = 256;

/** What comparing a state file with its sums gave. */
export type PageVerdict =
  /** No sums: the site runs, or did not end in an orderly way. */
  | { readonly kind: 'unknown' }
  | { readonly kind: 'intact' }
  /** The sums themselves are damaged. */
  | { readonly kind: 'unreadable' }
  /** Numbers of the pages that are not what was kept, from 1; the file may also have another length. */
  | { readonly kind: 'damaged'; readonly pages: readonly DamagedPage[]; readonly pageBytes: number };

export interface DamagedPage {
  readonly page: number;
  /** The one bit of it that explains the damage; undefined when more of it changed. */
  readonly flippedBit: number | undefined;
}

/** Path of the sums of a state file. */
export function sumsPath(path: string): string {
  return path.replace(/\.db$/, '.sums');
}

/** Whether SQLite left a log beside the state file: then the file alone is not the state. */
export function hasLog(path: string): boolean {
  return (statSync(`${path}-wal`, { throwIfNoEntry: false })?.size ?? 0) > 0;
}

/** Keeps the sums of a state file that nobody has open. Does nothing while SQLite's log lies beside it. Durable when it returns. */
export function keepPageSums(path: string, pageBytes: number): void {
  if (hasLog(path) || !existsSync(path)) return;
  const sums: number[] = [];
  for (const [page, bytes] of pagesOf(path, pageBytes)) sums.push(crc32(bytes, page));
  const file = Buffer.alloc(HEADER_BYTES + sums.length * SUM_BYTES + SUM_BYTES);
  MAGIC.copy(file);
  file.writeUInt32LE(VERSION, 8);
  file.writeUInt32LE(pageBytes, 12);
  file.writeUInt32LE(sums.length, 16);
  for (const [i, sum] of sums.entries()) file.writeUInt32LE(sum, HEADER_BYTES + i * SUM_BYTES);
  file.writeUInt32LE(crc32(file.subarray(0, -SUM_BYTES)), file.length - SUM_BYTES);

  const temporary = `${sumsPath(path)}.tmp`;
  const fd = openSync(temporary, 'w', 0o600);
  try {
    writeFileSync(fd, file);
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
  renameSync(temporary, sumsPath(path));
  syncPath(dirname(path));
}

/** The sums hold no longer: the file is about to be written to. Durable with the next fsync of the directory. */
export function dropPageSums(path: string): void {
  rmSync(sumsPath(path), { force: true });
}

/** Compares a state file with its sums: some 0.3 s for each GB that is in memory. */
export function checkPageSums(path: string): PageVerdict {
  if (hasLog(path)) return { kind: 'unknown' };
  let file: Buffer;
  try {
    file = readFileSync(sumsPath(path));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return { kind: 'unknown' };
    throw error;
  }
  if (!isWhole(file)) return { kind: 'unreadable' };
  const pageBytes = file.readUInt32LE(12);
  const count = file.readUInt32LE(16);
  const damaged: DamagedPage[] = [];
  let seen = 0;
  for (const [page, bytes] of pagesOf(path, pageBytes)) {
    seen = page;
    const kept = page <= count ? file.readUInt32LE(HEADER_BYTES + (page - 1) * SUM_BYTES) : undefined;
    const difference = kept === undefined ? 0 : crc32(bytes, page) ^ kept;
    const isCut = bytes.length < pageBytes;
    if (difference !== 0) damaged.push({ page, flippedBit: isCut ? undefined : flippedBit(difference, bytes.length) });
    else if (kept === undefined) damaged.push({ page, flippedBit: undefined });
  }
  for (let page = seen + 1; page <= count; page++) damaged.push({ page, flippedBit: undefined });
  return damaged.length === 0 ? { kind: 'intact' } : { kind: 'damaged', pages: damaged, pageBytes };
}

function isWhole(file: Buffer): boolean {
  if (file.length < HEADER_BYTES + SUM_BYTES || MAGIC.compare(file, 0, 8) !== 0) return false;
  if (file.readUInt32LE(8) !== VERSION) return false;
  if (file.length !== HEADER_BYTES + (file.readUInt32LE(16) + 1) * SUM_BYTES) return false;
  const difference = crc32(file.subarray(0, -SUM_BYTES)) ^ file.readUInt32LE(file.length - SUM_BYTES);
  // A flip in the closing sum takes nothing from the others.
  return difference === 0 || isSingleBit(difference);
}

/** Flips the bits back that explain the damage. Durable when it returns. @returns false, with nothing done, when one page needs more */
export function correctPages(path: string, { pages, pageBytes }: Extract<PageVerdict, { kind: 'damaged' }>): boolean {
  if (pages.some((page) => page.flippedBit === undefined)) return false;
  const fd = openSync(path, 'r+');
  try {
    const byte = Buffer.alloc(1);
    for (const { page, flippedBit: bit } of pages) {
      const at = (page - 1) * pageBytes + (bit! >>> 3);
      readSync(fd, byte, 0, 1, at);
      byte[0]! ^= 1 << (bit! & 7);
      writeSync(fd, byte, 0, 1, at);
    }
    fdatasyncSync(fd);
  } finally {
    closeSync(fd);
  }
  return true;
}

/** Page numbers from 1, and their bytes, valid until the next; the last one may be cut short. */
function* pagesOf(path: string, pageBytes: number): Generator<[number, Buffer]> {
  const fd = openSync(path, 'r');
  try {
    const size = fstatSync(fd).size;
    const block = Buffer.allocUnsafeSlow(Math.min(READ_PAGES * pageBytes, Math.ceil(size / pageBytes) * pageBytes));
    for (let at = 0; at < size;) {
      const length = readSync(fd, block, 0, block.length, at);
      if (length === 0) return;
      for (let start = 0; start < length; start += pageBytes) {
        yield [(at + start) / pageBytes + 1, block.subarray(start, Math.min(start + pageBytes, length))];
      }
      at += length;
    }
  } finally {
    closeSync(fd);
  }
}

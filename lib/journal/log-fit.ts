// log-fit.ts — whether state.db and the SQLite log beside it belong together, told before SQLite applies the one to the other.
// Invariant: every commit counts itself in the one row of `progress`. SQLite starts its log over only when the file has all of it; so
// the file holds at least the commit before the first one in the log, and never a later one than the last. A file that was put back
// alone, or a log that was, fails one of the two. Reads bytes, no SQL: opening a pair that does not fit would mix them for good.
// The log is what SQLite takes of it: frames whose sums are right, up to the last that ends a transaction.
// Spec: https://www.sqlite.org/fileformat2.html (b-tree pages, WAL)

import { closeSync, fstatSync, openSync, readSync } from 'node:fs';

/** Stands before the count, so that it is found in a page. */
const MARK = Buffer.from('\x01weft.progress\x02\x03', 'latin1');
const MARK_BYTES = MARK.length + 8;
const PAGE_BYTES = 4096;
const WAL_HEADER_BYTES = 32;
const FRAME_HEADER_BYTES = 24;
/** At the end of either header. */
const SUM_BYTES = 8;
const FRAME_BYTES = FRAME_HEADER_BYTES + PAGE_BYTES;
const WAL_MAGIC = 0x377f0682;
const LEAF_TABLE_PAGE = 0x0d;
/** The table of one row is among the first that are made. */
const SEARCHED_PAGES = 64;
const READ_FRAMES = 256;

/** What the row keeps: the number of its commit, in a form that {@link misfitOfLog} finds. */
export function progressMark(commits: number): Buffer {
  const mark = Buffer.alloc(MARK_BYTES);
  MARK.copy(mark);
  mark.writeBigUInt64LE(BigInt(commits), MARK.length);
  return mark;
}

/** The number of the commit in a mark that a row gave. */
export function commitsOf(mark: Buffer): number {
  return mark.length === MARK_BYTES ? Number(mark.readBigUInt64LE(MARK.length)) : 0;
}

/** Why the two files are no pair; undefined when they are, or when nothing can be said (a file without a commit, a log without one). */
export function misfitOfLog(path: string, logPath: string): string | undefined {
  const inFile = readFileMark(path);
  if (!inFile) return undefined;
  const inLog = readLogMarks(logPath, inFile.page);
  if (!inLog) return undefined;
  if (inFile.commits < inLog.first - 1) {
    return `it ends at commit ${inFile.commits}, and the log beside it (state.db-wal) begins at ${inLog.first}: an older file was put back alone`;
  }
  if (inFile.commits > inLog.last) {
    return `it holds commit ${inFile.commits}, and the log beside it (state.db-wal) ends at ${inLog.last}: they are not of one time`;
  }
  return undefined;
}

function readFileMark(path: string): { page: number; commits: number } | undefined {
  const bytes = readStart(path, SEARCHED_PAGES * PAGE_BYTES);
  for (let page = 1; page * PAGE_BYTES <= bytes.length; page++) {
    const commits = commitsIn(bytes.subarray((page - 1) * PAGE_BYTES, page * PAGE_BYTES));
    if (commits !== undefined) return { page, commits };
  }
  return undefined;
}

function readLogMarks(path: string, page: number): { first: number; last: number } | undefined {
  const fd = openSync(path, 'r');
  try {
    const size = fstatSync(fd).size;
    const header = Buffer.alloc(WAL_HEADER_BYTES);
    if (readSync(fd, header, 0, WAL_HEADER_BYTES, 0) < WAL_HEADER_BYTES) return undefined;
    if ((header.readUInt32BE(0) & ~1) !== WAL_MAGIC || header.readUInt32BE(8) !== PAGE_BYTES) return undefined;
    const sum = new LogSum((header.readUInt32BE(0) & 1) === 0);
    sum.add(header, 0, WAL_HEADER_BYTES - SUM_BYTES);
    if (!sum.isAt(header, WAL_HEADER_BYTES - SUM_BYTES)) return undefined;
    let first: number | undefined;
    let last = 0;
    /** Of the transaction that is being read. */
    let written: number | undefined;
    const block = Buffer.allocUnsafeSlow(Math.min(READ_FRAMES, Math.ceil(size / FRAME_BYTES)) * FRAME_BYTES);
    for (let at = WAL_HEADER_BYTES; at + FRAME_BYTES <= size;) {
      const frames = Math.floor(readSync(fd, block, 0, block.length, at) / FRAME_BYTES);
      if (frames === 0) break;
      for (let start = 0; start < frames * FRAME_BYTES; start += FRAME_BYTES) {
        // Frames of the log's last turn follow those of this one; power loss may leave a header of this one on a page of that.
        sum.add(block, start, start + 8);
        sum.add(block, start + FRAME_HEADER_BYTES, start + FRAME_BYTES);
        const isOfThisTurn = block.compare(header, 16, 24, start + 8, start + 16) === 0;
        if (!isOfThisTurn || !sum.isAt(block, start + 16)) return first === undefined ? undefined : { first, last };
        if (block.readUInt32BE(start) === page)
          written = commitsIn(block.subarray(start + FRAME_HEADER_BYTES, start + FRAME_BYTES)) ?? written;
        const isCommit = block.readUInt32BE(start + 4) !== 0;
        if (!isCommit || written === undefined) continue;
        first ??= written;
        last = written;
      }
      at += frames * FRAME_BYTES;
    }
    return first === undefined ? undefined : { first, last };
  } finally {
    closeSync(fd);
  }
}

/** The checksum of SQLite's log, over all of it so far: section 4.2 of the format. */
class LogSum {
  private first = 0;
  private second = 0;

  constructor(private readonly isLittleEndian: boolean) {}

  /** Whole words of 8 bytes. */
  add(bytes: Buffer, from: number, to: number): void {
    const words = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    let { first, second } = this;
    for (let at = from; at < to; at += 8) {
      first = (first + words.getInt32(at, this.isLittleEndian) + second) | 0;
      second = (second + words.getInt32(at + 4, this.isLittleEndian) + first) | 0;
    }
    this.first = first;
    this.second = second;
  }

  isAt(bytes: Buffer, at: number): boolean {
    return bytes.readInt32BE(at) === this.first && bytes.readInt32BE(at + 4) === this.second;
  }
}

/** The count in a page, if it is the leaf of a table with one row that holds one. */
function commitsIn(page: Buffer): number | undefined {
  if (page[0] !== LEAF_TABLE_PAGE || page.readUInt16BE(3) !== 1) return undefined;
  const cell = page.readUInt16BE(8);
  const at = page.indexOf(MARK, cell);
  return at < 0 || at + MARK_BYTES > page.length ? undefined : Number(page.readBigUInt64LE(at + MARK.length));
}

function readStart(path: string, length: number): Buffer {
  const fd = openSync(path, 'r');
  try {
    const bytes = Buffer.alloc(Math.min(length, fstatSync(fd).size));
    return bytes.subarray(0, readSync(fd, bytes, 0, bytes.length, 0));
  } finally {
    closeSync(fd);
  }
}

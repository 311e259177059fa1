// state-mark.ts — how far the state was durable when it was last heard of: tells a state that went back from one that was stopped.
// Invariant: `state.mark` never holds more commits than were on stable storage when it was written. So a state with fewer has lost
// some: its SQLite log was damaged (SQLite takes a log up to the first bad frame), or older files were put back. Written without
// fsync: after power loss it may be older, and tells less. Not a copy of anything in the state.
//
//   'WEFTMARK'  u64 commits  u32 CRC-32 of the 16 bytes before

import { closeSync, existsSync, openSync, readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { isNoRoom } from '../errno.js';
import { commitsOf } from '../journal/log-fit.js';
import { explain, openEarlierState, statePath } from '../journal/schema.js';

const MAGIC = Buffer.from('WEFTMARK', 'latin1');
const MARK_BYTES = 20;

/** Keeps the mark of a running site. */
export class StateMark {
  private fd: number;
  private readonly bytes = Buffer.alloc(MARK_BYTES);

  constructor(directory: string) {
    this.fd = openSync(markPath(directory), existsSync(markPath(directory)) ? 'r+' : 'w', 0o600);
    MAGIC.copy(this.bytes);
  }

  /** So many commits are durable. A few microseconds. */
  write(commits: number): void {
    if (this.fd < 0) return;
    this.bytes.writeBigUInt64LE(BigInt(commits), MAGIC.length);
    this.bytes.writeUInt32LE(crc32(this.bytes.subarray(0, 16)), 16);
    try {
      writeSync(this.fd, this.bytes, 0, MARK_BYTES, 0);
    } catch (error) {
      // A filesystem that copies on write has no room even for this on a full disk: an older mark tells less.
      if (!isNoRoom(error)) throw error;
    }
  }

  close(): void {
    closeSync(this.fd);
    this.fd = -1;
  }
}

/** The commits that a directory's state had for sure; 0 when nothing is known, null when the mark is damaged. */
export function readMark(directory: string): number | null {
  let bytes: Buffer;
  try {
    bytes = readFileSync(markPath(directory));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return 0;
    throw error;
  }
  if (bytes.length !== MARK_BYTES || MAGIC.compare(bytes, 0, 8) !== 0) return null;
  return crc32(bytes.subarray(0, 16)) === bytes.readUInt32LE(16) ? Number(bytes.readBigUInt64LE(8)) : null;
}

/** How many commits a directory's state lacks that were durable once. Opens the state for reading. @throws CorruptionError */
export function lostCommits(directory: string): number {
  const marked = readMark(directory);
  if (!marked || !existsSync(statePath(directory))) return 0;
  const path = statePath(directory);
  const db = openEarlierState(path);
  try {
    const hasMark = db.prepare("select 1 from pragma_table_info('progress') where name = 'mark'").get();
    if (!hasMark) return marked; // a state from before there were marks, in the place of a later one
    const mark = db.prepare('select mark from progress').pluck().get() as Buffer | undefined;
    return mark ? Math.max(0, marked - commitsOf(mark)) : 0;
  } catch (error) {
    throw explain(path, error);
  } finally {
    db.close();
  }
}

function markPath(directory: string): string {
  return join(directory, 'state.mark');
}

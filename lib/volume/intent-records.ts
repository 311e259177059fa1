// intent-records.ts — what the volume writes to the intent log: each acknowledged operation that SQLite does not hold yet.
// Invariant: replaying the records of a prefix, in order, on the state of the last fold gives the state after that prefix.
// Local format: actor indexes are those of this site's actor table. Layouts stand beside the functions below.

import { ByteReader, ByteWriter, CorruptionError } from '../codec/bytes.js';
import type { Ino, OpId } from '../crdt/ids.js';
import type { Timestamp } from '../crdt/inode.js';
import type { WriteDraft } from '../crdt/local-writes.js';
import type { IntentRecord } from '../journal/intent-log.js';

/** Kinds of records in the intent log. */
export const RECORD = {
  /** Register writes of one operation. */
  writes: 1,
  /** A file begins to be written: its content detaches from its version. */
  draftBegun: 2,
  /** Bytes written to a draft. Those of a small one live in this record until they are in a chunk. */
  data: 3,
  /** Bytes written to a draft's working copy, which alone holds them. */
  extent: 4,
  /** A draft's size was set. */
  resize: 5,
  /** fallocate(2) on a draft. */
  allocate: 6,
  /** A small draft moved to a working copy, which held all of its bytes when this was written. */
  spill: 7,
  /** A draft's modification time was set explicitly. */
  touch: 8,
  /** The kernel may write to a draft's local file by itself from here on; it was last changed at the record's time. */
  share: 9,
  /** What follows builds on changes of other sites, of which the state had so many when it was written. */
  basis: 10,
  /** fsync(2) covered what was written to a draft before, of which its local file is a part if it has one. */
  synced: 11,
  /** All bytes of a draft whose local file the kernel writes to: fsync(2) covered them here, and not in that file. */
  whole: 12,
  /** A draft's local file is free for others from here on: what it held of this one, if anything was written, is in this record. */
  givenBack: 13,
} as const;

/** One operation on the registers. */
export interface WritesRecord {
  readonly time: Timestamp;
  /** Directories whose modification time becomes `time`. */
  readonly touched: readonly Ino[];
  /** The draft whose bytes are a version by this operation, or that is given up by it; 0: none. */
  readonly draft: Ino;
  /** Whether that draft ends with it; else it goes on from that version. */
  readonly ends: boolean;
  /** Whether fsync(2) covered bytes of that draft which the version does not have. */
  readonly staysSynced: boolean;
  readonly writes: readonly WriteDraft[];
}

function writeTimestamp(out: ByteWriter, time: Timestamp): void {
  out.signed(time.s).varint(time.ns);
}

function readTimestamp(input: ByteReader): Timestamp {
  const s = input.signed('seconds');
  const ns = input.varint('nanoseconds');
  if (ns > 999_999_999) throw new CorruptionError(`nanoseconds: ${ns}`);
  return { s, ns };
}

function writeOps(out: ByteWriter, ops: readonly OpId[]): void {
  out.varint(ops.length);
  for (const op of ops) out.varint(op.counter).varint(op.actor);
}

function readOps(input: ByteReader): OpId[] {
  const count = input.varint('op count');
  const ops: OpId[] = [];
  for (let i = 0; i < count; i++) ops.push({ counter: input.varint('op counter'), actor: input.varint('op actor') });
  return ops;
}

const INT = 0;
const TEXT = 1;
const BASED = 2;

const ENDS = 1;
const STAYS_SYNCED = 2;

/** time, touched (count, inos), draft, its fate u8 (1 ends, 2 stays synced), then per write: ino, field, flags u8 (1 text, 2 has bases), value, bases. */
export function encodeWrites(out: ByteWriter, record: WritesRecord): void {
  writeTimestamp(out, record.time);
  out.varint(record.touched.length);
  for (const ino of record.touched) out.varint(ino);
  out
    .varint(record.draft)
    .u8((record.ends ? ENDS : 0) | (record.staysSynced ? STAYS_SYNCED : 0))
    .varint(record.writes.length);
  for (const write of record.writes) {
    const text = typeof write.value === 'string';
    out
      .varint(write.ino)
      .latin1(write.field)
      .u8((text ? TEXT : INT) | (write.bases ? BASED : 0));
    if (text) out.latin1(write.value as string);
    else out.signed(write.value as number);
    if (write.bases) writeOps(out, write.bases);
  }
}

export function decodeWrites(payload: Uint8Array): WritesRecord {
  const input = new ByteReader(payload);
  const time = readTimestamp(input);
  const touched: Ino[] = [];
  for (let n = input.varint('touched count'); n > 0; n--) touched.push(input.varint('touched'));
  const draft = input.varint('draft');
  const fate = input.u8('fate of the draft');
  const writes: WriteDraft[] = [];
  for (let n = input.varint('write count'); n > 0; n--) {
    const ino = input.varint('ino');
    const field = input.latin1('field');
    const flags = input.u8('flags');
    const value = flags & TEXT ? input.latin1('value') : input.signed('value');
    writes.push(flags & BASED ? { ino, field, value, bases: readOps(input) } : { ino, field, value });
  }
  input.finish('writes record');
  return { time, touched, draft, ends: (fate & ENDS) !== 0, staysSynced: (fate & STAYS_SYNCED) !== 0, writes };
}

/** A basis: how many changes the state has, of all sites; u64. */
export function encodeBasis(changes: number): Buffer {
  const payload = Buffer.alloc(8);
  payload.writeBigUInt64LE(BigInt(changes));
  return payload;
}

/** Whether a record says that what follows builds on more changes than these. */
export function isBaseless({ kind, payload }: IntentRecord, changes: number): boolean {
  return kind === RECORD.basis && new ByteReader(payload).safe64('basis') > changes;
}

/** A draft that begins: which inode, the manifest its content starts from ('' when it starts empty), the head ops it is based on. */
export interface DraftBegun {
  readonly ino: Ino;
  readonly base: string;
  readonly bases: readonly OpId[];
  readonly mtime: Timestamp;
  /** Name of a local file that holds all of the base's bytes; '' when the draft makes its own, if any. */
  readonly file: string;
}

/** ino, base manifest hex, local file, ops, mtime */
export function encodeDraftBegun(out: ByteWriter, record: DraftBegun): void {
  out.varint(record.ino).latin1(record.base).latin1(record.file);
  writeOps(out, record.bases);
  writeTimestamp(out, record.mtime);
}

export function decodeDraftBegun(input: ByteReader): DraftBegun {
  return {
    ino: input.varint('ino'),
    base: input.latin1('base', 64),
    file: input.latin1('local file', 255),
    bases: readOps(input),
    mtime: readTimestamp(input),
  };
}

/** Kinds whose records end with bytes. */
const WITH_DATA: ReadonlySet<number> = new Set([RECORD.data, RECORD.whole, RECORD.givenBack]);

/** `mode` of {@link RECORD.givenBack}: nothing was ever written, and the draft ended. */
export const UNTOUCHED = 1;

/** What happened to a draft's content: ino, time, then the numbers that the kind needs; `data` closes the record. */
export interface DraftChanged {
  readonly kind: number;
  readonly ino: Ino;
  readonly time: Timestamp;
  /** fallocate mode; of `givenBack` maybe {@link UNTOUCHED}; 0 otherwise. */
  readonly mode: number;
  /** Byte offset, or the new size for `resize`. */
  readonly offset: number;
  /** Bytes covered; for `data`, `whole` and `givenBack` the bytes themselves follow. */
  readonly length: number;
  readonly data: Buffer | null;
}

/** ino, time, mode, offset, length; the caller appends the bytes, if the kind has any. */
export function encodeDraftChanged(
  out: ByteWriter,
  ino: Ino,
  time: Timestamp,
  mode: number,
  offset: number,
  length: number,
): void {
  out.varint(ino);
  writeTimestamp(out, time);
  out.varint(mode).varint(offset).varint(length);
}

export function decodeDraftChanged(kind: number, payload: Uint8Array): DraftChanged {
  const input = new ByteReader(payload);
  const ino = input.varint('ino');
  const time = readTimestamp(input);
  const mode = input.varint('mode');
  const offset = input.varint('offset');
  const length = input.varint('length');
  const data = WITH_DATA.has(kind) ? input.view(length, 'data') : null;
  input.finish('draft record');
  return { kind, ino, time, mode, offset, length, data };
}

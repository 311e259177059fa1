// intent-log.ts — what the site acknowledged and SQLite does not hold yet: an append-only log in memory-mapped segments.
// Invariant: recover() yields a prefix of what was appended, complete up to the last append() that returned (SIGKILL) or the
// last sync() (power loss), and never a record of an earlier life of a segment. Not a queue and not the journal: once a fold is
// durable in SQLite its records are released.
//
// Format of the segment files: intent-segment.ts. The length is written last, so a record exists once it is whole. A record lies in one segment; a bad or empty place ends the
// segment, and the log too unless the next segment begins with exactly the lsn that is missing. Each open starts a new segment
// with a new salt: a record left behind a torn one can then never come back as the successor of a later append.

import { randomBytes } from 'node:crypto';
import {
  closeSync,
  copyFileSync,
  fdatasyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  statSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { crc32 } from 'node:zlib';
import { CorruptionError } from '../codec/bytes.js';
import { LastingSync, syncPath } from '../file-sync.js';
import { writeInPlace } from '../in-place-writes.js';
import { HEADER_BYTES, PREFIX_BYTES, readSegment, RECORD_OVERHEAD, SEGMENT_MAGIC } from './intent-segment.js';
import type { IntentRecord, Lsn, SegmentContent } from './intent-segment.js';
import { MappedFile } from './mapped-file.js';
import { suppliedPath } from './segment-supply.js';

export type { IntentRecord, Lsn } from './intent-segment.js';

/** The log's directory in a site's state directory. */
export function intentPath(stateDirectory: string): string {
  return join(stateDirectory, 'intent');
}

export interface IntentLogOptions {
  /** Size of an ordinary segment file; a larger record gets a segment of its own. */
  readonly segmentBytes?: number;
  /**
   * Whether the state lacks what follows this record, which it does not hold: the log ends before it then. See {@link IntentLog.precede}.
   */
  readonly isBaseless?: (record: IntentRecord) => boolean;
  /** What was not synced may be gone, the names of files too: a log whose first segments are missing was never made durable. */
  readonly afterPowerLoss?: boolean;
  /** Told, in words, of damage that open() found: what was put right, and what was acknowledged and cannot be brought back. */
  readonly damaged?: (what: string) => void;
}

const PAGE_BYTES = 4096;
/** Size of an ordinary segment file unless the options say otherwise. */
export const SEGMENT_BYTES = 16 * 2 ** 20;
/** Released segments kept for reuse: their blocks are allocated and their pages are in memory already. */
const MAX_SPARES = 2;
const SEGMENT_NAME = /^[0-9a-f]{14}\.seg$/;
const SPARE_NAME = /^spare-\d+$/;

interface Segment {
  path: string;
  firstLsn: Lsn;
  /** One past the last lsn in it. */
  nextLsn: Lsn;
  readonly sizeBytes: number;
  /** Absent for a segment of an earlier open: it is only kept until it is released. */
  readonly file: MappedFile | undefined;
}

export class IntentLog {
  private readonly directory: string;
  private readonly segmentBytes: number;
  /** Ascending; the last one is written to once there was an append. */
  private readonly segments: Segment[];
  private readonly spares: Segment[] = [];
  private readonly unsynced = new Set<MappedFile>();
  private directoryChanged = false;
  private spareNumber = 0;
  private nextLsn: Lsn;
  private syncedNextLsn: Lsn;
  private readonly lastingSync: LastingSync;

  private current: MappedFile | undefined;
  private bytes: Buffer = Buffer.alloc(0);
  private position = 0;
  private salt = 0;
  private owed: { readonly kind: number; readonly payload: Uint8Array } | undefined;

  private constructor(directory: string, segmentBytes: number, segments: Segment[], nextLsn: Lsn) {
    this.directory = directory;
    this.lastingSync = new LastingSync(dirname(directory));
    this.segmentBytes = segmentBytes;
    this.segments = segments;
    this.nextLsn = nextLsn;
    this.syncedNextLsn = nextLsn;
  }

  /**
   * Opens the log of `directory`, creating it if need be.
   * @param foldedLsn what the state holds already: records up to it may be missing, and no later one gets a number up to it
   */
  static open(directory: string, foldedLsn: Lsn, options: IntentLogOptions = {}): IntentLog {
    const { segmentBytes = SEGMENT_BYTES, damaged = () => {}, isBaseless = () => false, afterPowerLoss } = options;
    if (!(segmentBytes >= PAGE_BYTES && segmentBytes % PAGE_BYTES === 0 && segmentBytes < 2 ** 31)) {
      throw new RangeError(`segmentBytes ${segmentBytes}: must be a multiple of ${PAGE_BYTES} below 2 GiB`);
    }
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    writeInPlace(directory);
    const names = readdirSync(directory);
    for (const name of names) if (SPARE_NAME.test(name)) unlinkSync(join(directory, name));

    const segments: Segment[] = [];
    let nextLsn = 0;
    let ended = false;
    let isDamaged = false;
    for (const name of names.filter((entry) => SEGMENT_NAME.test(entry)).toSorted()) {
      const path = join(directory, name);
      const content = ended ? undefined : readSegment(path);
      if (!content && !ended && afterPowerLoss && nextLsn === 0) {
        // It was given up and begun anew under another name, of which nothing was synced: no record of it is missed.
        unlinkSync(path);
        continue;
      }
      if (content && nextLsn === 0 && content.firstLsn > foldedLsn + 1) {
        const where = `${directory}: begins at operation ${content.firstLsn}, but the state ends at ${foldedLsn}`;
        if (!afterPowerLoss) {
          throw new CorruptionError(
            `${where}: it was replaced by an older one. Put the newer state back, or move this directory aside to go on without ` +
              'the operations in it',
          );
        }
        isDamaged = true;
        damaged(`${where}: power failed before what lies between was synced; what follows is kept aside`);
      }
      for (const what of content?.healed ?? []) damaged(`${path}: ${what}`);
      const follows = content !== undefined && follow(content.firstLsn, nextLsn, foldedLsn);
      const baseless = content?.records.findIndex((record) => record.lsn > foldedLsn && isBaseless(record)) ?? -1;
      if (follows && baseless >= 0) {
        cutOff(path, content, baseless);
        ended = true;
      }
      if (!follows || content.records.length === 0) {
        // Beyond the prefix, or without a record: nothing that was acknowledged as durable.
        if (follows) nextLsn = content.firstLsn;
        else ended = true;
        if (isDamaged) renameSync(path, join(directory, `damaged-${name}`));
        else unlinkSync(path);
        continue;
      }
      if (content.damage !== undefined && baseless < 0) {
        // What follows is no prefix any more; it is kept for a look, out of the log's way.
        isDamaged = true;
        const aside = join(directory, `damaged-${name}`);
        copyFileSync(path, aside);
        damaged(`${path}: ${content.damage}; what follows is not carried out, and kept in ${aside}`);
      }
      nextLsn = content.firstLsn + content.records.length;
      segments.push({ path, firstLsn: content.firstLsn, nextLsn, sizeBytes: statSync(path).size, file: undefined });
    }
    // A process that was killed may have left records in the page cache only; sync() answers for those too.
    new LastingSync(dirname(directory)).run(() => {
      for (const { path } of segments) syncPath(path);
      syncPath(directory);
    });
    return new IntentLog(directory, segmentBytes, segments, Math.max(nextLsn, foldedLsn + 1));
  }

  /** Number of the last record, 0 when there never was one. */
  get lastLsn(): Lsn {
    return this.nextLsn - 1;
  }

  /** Number of the next record to be appended. */
  get upcomingLsn(): Lsn {
    return this.owed ? this.nextLsn + 1 : this.nextLsn;
  }

  /** Bytes of the files that hold records. */
  get sizeBytes(): number {
    return this.segments.reduce((sum, segment) => sum + segment.sizeBytes, 0);
  }

  /**
   * Appends one record; it survives SIGKILL when this returns.
   * @param kind 0 … 255, opaque to the log
   * @param parts the payload, in pieces that are written one behind the other
   * @throws PosixError ENOSPC when a new segment is needed and the disk cannot hold it; nothing was appended then
   */
  append(kind: number, ...parts: readonly Uint8Array[]): Lsn {
    if (this.owed) {
      const { kind: first, payload } = this.owed;
      this.owed = undefined;
      try {
        this.append(first, payload);
      } catch (error) {
        this.owed = { kind: first, payload };
        throw error;
      }
    }
    let payloadBytes = 0;
    for (const part of parts) payloadBytes += part.length;
    const at = this.position;
    const end = at + RECORD_OVERHEAD + payloadBytes;
    if (end > this.bytes.length) {
      this.rotate(HEADER_BYTES + RECORD_OVERHEAD + payloadBytes);
      return this.append(kind, ...parts);
    }
    const { bytes } = this;
    const lsn = this.nextLsn;
    // A recycled segment holds old bytes; what follows the last record must not look like one.
    if (end + 4 <= bytes.length) bytes.writeUInt32LE(0, end);
    bytes[at + PREFIX_BYTES] = kind;
    let target = at + RECORD_OVERHEAD;
    for (const part of parts) {
      bytes.set(part, target);
      target += part.length;
    }
    bytes.writeUInt32LE(crc32(bytes.subarray(at + PREFIX_BYTES, end), (this.salt ^ lsn) >>> 0), at + 4);
    bytes.writeUInt32LE(payloadBytes + 1, at);
    this.position = end;
    this.nextLsn = lsn + 1;
    return lsn;
  }

  /**
   * Sees to it that records with so many bytes of payload, and of what the log adds to each, can be appended: for who has to do first what
   * they tell.
   * @throws PosixError as {@link append}
   */
  makeRoom(bytes: number): void {
    const owedBytes = this.owed ? RECORD_OVERHEAD + this.owed.payload.length : 0;
    const needBytes = owedBytes + RECORD_OVERHEAD + bytes;
    if (this.position + needBytes > this.bytes.length) this.rotate(HEADER_BYTES + needBytes);
  }

  /**
   * Has this record written before the next one, in place of an earlier one that still waits: it says what the next one builds on.
   * Where the log outlives that, it is of no use, and ends there: see `isBaseless`.
   */
  precede(kind: number, payload: Uint8Array): void {
    this.owed = { kind, payload };
  }

  /** Makes every record appended so far survive power loss. Fails for good once it failed. */
  sync(): void {
    if (this.syncedNextLsn !== this.nextLsn) this.lastingSync.run(() => this.syncFiles());
  }

  /** @throws what made {@link sync} fail */
  checkSynced(): void {
    this.lastingSync.check();
  }

  private syncFiles(): void {
    for (const file of this.unsynced) file.sync();
    this.unsynced.clear();
    this.current?.sync();
    if (this.directoryChanged) {
      syncPath(this.directory);
      this.directoryChanged = false;
    }
    this.syncedNextLsn = this.nextLsn;
  }

  /** The records above `afterLsn` in order, without a gap. To be used before the first append. */
  *recover(afterLsn: Lsn): Generator<IntentRecord> {
    for (const segment of this.segments) {
      if (segment.nextLsn <= afterLsn + 1) continue;
      const content = readSegment(segment.path);
      for (const record of content?.records ?? []) {
        if (record.lsn > afterLsn && record.lsn < segment.nextLsn) yield record;
      }
    }
  }

  /** Gives up the records up to `uptoLsn`. Only for what SQLite holds durably. Whole segments are recycled or deleted. */
  release(uptoLsn: Lsn): void {
    while (this.segments.length > 0) {
      const segment = this.segments[0]!;
      const isCurrent = segment.file !== undefined && segment.file === this.current;
      if (isCurrent || segment.nextLsn > uptoLsn + 1) break;
      this.segments.shift();
      this.retire(segment);
    }
  }

  close(): void {
    this.bytes = Buffer.alloc(0);
    this.current = undefined;
    for (const segment of [...this.segments, ...this.spares]) segment.file?.close();
    for (const spare of this.spares) unlinkSync(spare.path);
    this.spares.length = 0;
    this.segments.length = 0;
  }

  private retire(segment: Segment): void {
    const { file } = segment;
    if (file) this.unsynced.delete(file);
    if (file && segment.sizeBytes === this.segmentBytes && this.spares.length < MAX_SPARES) {
      const path = join(this.directory, `spare-${this.spareNumber++}`);
      renameSync(segment.path, path);
      this.spares.push({ ...segment, path });
    } else {
      file?.close();
      unlinkSync(segment.path);
    }
    this.directoryChanged = true;
  }

  /** The segment that segment-supply.ts made, if it is of this size, under the name `path`. */
  private takeSupplied(path: string, sizeBytes: number): MappedFile | undefined {
    const supplied = suppliedPath(this.directory);
    if (statSync(supplied, { throwIfNoEntry: false })?.size !== sizeBytes) return undefined;
    renameSync(supplied, path);
    return MappedFile.open(path);
  }

  /** Begins a segment that has room for `needBytes` with its header. */
  private rotate(needBytes: number): void {
    this.dropEmpty();
    const sizeBytes = Math.max(this.segmentBytes, Math.ceil(needBytes / PAGE_BYTES) * PAGE_BYTES);
    const firstLsn = this.nextLsn;
    const path = join(this.directory, `${firstLsn.toString(16).padStart(14, '0')}.seg`);
    // The oldest: what power loss leaves under old names is begun anew from the beginning of the log on, see open().
    const spare = sizeBytes === this.segmentBytes ? this.spares.shift() : undefined;
    // Under a spare's name until its header is right: recovery ignores it so far.
    const from = spare?.path ?? join(this.directory, `spare-${this.spareNumber++}`);
    const file = spare?.file ?? this.takeSupplied(from, sizeBytes) ?? MappedFile.create(from, sizeBytes);

    const salt = randomBytes(4).readUInt32LE();
    const header = file.buffer;
    SEGMENT_MAGIC.copy(header);
    header.writeUInt32LE(firstLsn % 2 ** 32, 8);
    header.writeUInt32LE(Math.floor(firstLsn / 2 ** 32), 12);
    header.writeUInt32LE(salt, 16);
    header.writeUInt32LE(crc32(header.subarray(0, 20)), 20);
    header.writeUInt32LE(0, HEADER_BYTES);
    renameSync(from, path);

    const last = this.segments.at(-1);
    if (last && last.file === this.current && this.current) {
      last.nextLsn = firstLsn;
      this.unsynced.add(this.current);
    }
    this.segments.push({ path, firstLsn, nextLsn: firstLsn, sizeBytes, file });
    this.directoryChanged = true;
    this.current = file;
    this.bytes = file.buffer;
    this.salt = salt;
    this.position = HEADER_BYTES;
  }

  /** A segment that was begun for a record that never came, and is too small for the next one: that will be the first of its number. */
  private dropEmpty(): void {
    const last = this.segments.at(-1);
    if (!last || last.file !== this.current || last.firstLsn !== this.nextLsn) return;
    this.segments.pop();
    this.current = undefined;
    this.bytes = Buffer.alloc(0);
    this.position = 0;
    this.retire(last);
  }
}

/** Makes a segment end before one of its records, for good. */
function cutOff(path: string, content: SegmentContent, index: number): void {
  const { payload } = content.records[index]!;
  const fd = openSync(path, 'r+');
  try {
    const at = payload.byteOffset - content.bytes.byteOffset - RECORD_OVERHEAD;
    writeSync(fd, Buffer.alloc(RECORD_OVERHEAD), 0, RECORD_OVERHEAD, at);
    fdatasyncSync(fd);
  } finally {
    closeSync(fd);
  }
  content.records.length = index;
}

/** Whether a segment that begins with `firstLsn` continues a log whose next record would be `nextLsn` (0: none so far). */
function follow(firstLsn: Lsn, nextLsn: Lsn, foldedLsn: Lsn): boolean {
  // What the state holds already may be missing in the log: after power loss SQLite can be ahead of it.
  return firstLsn === nextLsn || (nextLsn <= foldedLsn + 1 && firstLsn >= nextLsn && firstLsn <= foldedLsn + 1);
}

// working-copy.ts — a file that is being written, of any size: a sparse local file laid over the version it started from.
// Invariants: the local file is exactly as long as the content. A position in `local` is read from the local file, any other
// from the base; what the local file has at those others means nothing. Every position from the base's end on is in `local`.
// `changed` holds what the base lacks: the next version is made of it. write(2) never reads the base.
//
// After a crash the local file holds what the last operation left. So a log of operations is replayed by adopt…(), which notes
// what is local and never touches the file, and the size is the file's own length: an operation that the log lacks, because the
// process died between the two, has then simply happened.

import { ByteReader, ByteWriter, CorruptionError } from '../codec/bytes.js';
import type { ObjectId } from '../crdt/ids.js';
import { posixError } from '../errno.js';
import { AbsentObjects } from './absent-objects.js';
import { checkFallocate, fallocateVerb } from './fallocate-rules.js';
import type { IngestJob } from './ingest.js';
import { type FileStamp, LocalFile } from './local-file.js';
import { absentChunks, readManifest } from './manifest-reader.js';
import { decodeManifest, encodeManifest, MAX_FILE_BYTES, nextData, nextHole } from './manifest.js';
import type { Manifest } from './manifest.js';
import type { ObjectSource } from './object-store.js';
import { RangeSet } from './range-set.js';
import type { SmallContent } from './small-content.js';
import { BLOCK_BYTES, FALLOC_KEEP_SIZE, FALLOC_PUNCH_HOLE, SECTOR_BYTES } from './writable-content.js';
import type { WritableContent } from './writable-content.js';

const STATE_VERSION = 1;
const COPY_BYTES = 1 << 20;

interface Base {
  readonly id: ObjectId;
  readonly manifest: Manifest;
}

export class WorkingCopy implements WritableContent {
  private readonly file: LocalFile;
  private readonly objects: ObjectSource;
  private base: Base | null;
  private readonly local: RangeSet;
  private readonly changed: RangeSet;
  /** What the job under way took over from `changed`. */
  private inFlight: RangeSet | null = null;
  /** Bytes of the base's data that are not local; undefined: to be counted. */
  private baseBytes: number | undefined;

  private constructor(file: LocalFile, objects: ObjectSource, base: Base | null, local: RangeSet, changed: RangeSet) {
    this.file = file;
    this.objects = objects;
    this.base = base;
    this.local = local;
    this.changed = changed;
    // A file shorter than its base was truncated, whether or not the log came to say so.
    this.adopt(Math.min(file.length, base?.manifest.size ?? 0), Infinity);
  }

  /** A new working copy of a version, at a path where nothing is. EFBIG, ENOSPC, ENFILE. */
  static create(path: string, baseId: ObjectId, base: Manifest, objects: ObjectSource): WorkingCopy {
    const origin = { id: baseId, manifest: base };
    return new WorkingCopy(LocalFile.create(path, base.size), objects, origin, new RangeSet(), new RangeSet());
  }

  /** A new working copy of nothing, at a path where nothing is. ENOSPC, ENFILE. */
  static ofNothing(path: string, objects: ObjectSource): WorkingCopy {
    return new WorkingCopy(LocalFile.create(path, 0), objects, null, new RangeSet(), new RangeSet());
  }

  /** A new working copy with the bytes of a SmallContent, which is left as it is, at a path where nothing is. ENOSPC, ENFILE. */
  static spill(path: string, small: SmallContent, objects: ObjectSource): WorkingCopy {
    const file = LocalFile.create(path, small.size);
    try {
      for (const [start, end] of small.dataRuns()) file.write(start, small.bytes().subarray(start, end));
    } catch (error) {
      file.remove();
      throw error;
    }
    return new WorkingCopy(file, objects, null, new RangeSet(), new RangeSet());
  }

  /** Recovery of one that {@link ofNothing} or {@link spill} made: all its bytes are in its file. CorruptionError when the file is gone. */
  static adoptSpilled(path: string, objects: ObjectSource): WorkingCopy {
    return new WorkingCopy(LocalFile.open(path), objects, null, new RangeSet(), new RangeSet());
  }

  /** Recovery of one that {@link create} made; what happened to it since is noted by adopt…(). CorruptionError when the file is gone. */
  static reopen(path: string, baseId: ObjectId, base: Manifest, objects: ObjectSource): WorkingCopy {
    const origin = { id: baseId, manifest: base };
    return new WorkingCopy(LocalFile.open(path), objects, origin, new RangeSet(), new RangeSet());
  }

  /** Recovery from {@link state}. AbsentObjects when the base's manifest is not held; CorruptionError for a bad state, or when the file is gone. */
  static restore(path: string, state: Uint8Array, objects: ObjectSource): WorkingCopy {
    const reader = new ByteReader(state);
    const version = reader.u8('working copy state');
    if (version !== STATE_VERSION) throw new CorruptionError(`working copy state: unknown version ${version}`);
    const id = reader.bytes('base id', 32).toString('hex');
    const local = RangeSet.decode(reader);
    const changed = RangeSet.decode(reader);
    reader.finish('working copy state');
    const base = id === '' ? null : { id, manifest: decodeManifest(objects.get(id)) };
    return new WorkingCopy(LocalFile.open(path), objects, base, local, changed);
  }

  /** What {@link restore} needs besides the local file. */
  state(): Buffer {
    const writer = new ByteWriter(64);
    writer.u8(STATE_VERSION).bytes(Buffer.from(this.base?.id ?? '', 'hex'));
    this.local.encode(writer);
    const changed = new RangeSet(this.changed);
    if (this.inFlight) changed.insertAll(this.inFlight);
    changed.encode(writer);
    return writer.view();
  }

  get path(): string {
    return this.file.path;
  }

  get size(): number {
    return this.file.length;
  }

  /** The version that this is laid over; undefined: none. */
  get baseId(): ObjectId | undefined {
    return this.base?.id;
  }

  // ---- Recovery: the local file holds the operation's effect already.

  /** Notes that [offset, offset + length) was written. */
  adopt(offset: number, length: number): void {
    const end = offset + length;
    if (this.local.insert(offset, end)) this.baseBytes = undefined;
    this.changed.insert(offset, end);
  }

  /** Notes that the content was truncated to `size`. */
  adoptTruncate(size: number): void {
    this.adopt(size, Infinity);
  }

  /** Notes a fallocate that succeeded. */
  adoptFallocate(mode: number, offset: number, length: number): void {
    const verb = fallocateVerb(mode);
    if (verb !== 'allocate') this.adopt(offset, verb === 'collapse' || verb === 'insert' ? Infinity : length);
  }

  // ---- Content

  read(offset: number, length: number, into: Buffer, at: number): number {
    const end = Math.min(offset + length, this.size);
    const absent: ObjectId[] = [];
    for (let from = offset; from < end;) {
      const to = Math.min(this.local.runEnd(from), end);
      if (this.local.has(from)) this.file.read(from, to, into, at + from - offset);
      else this.readBase(from, to, into, at + from - offset, absent);
      from = to;
    }
    if (absent.length > 0) throw new AbsentObjects([...new Set(absent)]);
    return Math.max(0, end - offset);
  }

  /** Reads from the base; adds to `absent` what it lacks. */
  private readBase(from: number, to: number, into: Buffer, at: number, absent: ObjectId[]): void {
    try {
      readManifest(this.objects, this.base!.manifest, from, to - from, into, at);
    } catch (error) {
      if (!(error instanceof AbsentObjects)) throw error;
      absent.push(...error.ids);
    }
  }

  write(offset: number, data: Uint8Array): void {
    if (data.length === 0) return;
    this.file.write(offset, data);
    this.adopt(offset, data.length);
  }

  truncate(size: number): void {
    const kept = Math.min(size, this.size);
    this.file.truncate(size);
    this.adoptTruncate(kept);
  }

  fallocate(mode: number, offset: number, length: number): void {
    const verb = checkFallocate(mode, offset, length, this.size, MAX_FILE_BYTES);
    if (verb === 'collapse' || verb === 'insert') this.localise(offset, this.size - offset);
    this.file.fallocate(mode, offset, length);
    this.adoptFallocate(mode, offset, length);
  }

  /**
   * Brings the base's bytes of a range into the local file; nothing that can be seen changes. fallocate does so by itself
   * before it moves bytes. A log that calls this first, and notes the range as written, recovers from a crash at any point.
   */
  localise(offset: number, length: number): void {
    const end = Math.min(offset + length, this.size);
    const absent = new Set<ObjectId>();
    for (const [from, to] of this.baseRuns(offset, end)) {
      for (const id of absentChunks(this.objects, this.base!.manifest, from, to - from)) absent.add(id);
    }
    if (absent.size > 0) throw new AbsentObjects([...absent]);
    for (const [from, to] of this.baseRuns(offset, end)) this.copyFromBase(from, to);
  }

  /** The parts of [offset, end) that are read from the base. */
  private *baseRuns(offset: number, end: number): Generator<[number, number]> {
    for (let from = offset; from < end;) {
      const to = Math.min(this.local.runEnd(from), end);
      if (!this.local.has(from)) yield [from, to];
      from = to;
    }
  }

  private copyFromBase(from: number, to: number): void {
    const { manifest } = this.base!;
    this.file.fallocate(FALLOC_PUNCH_HOLE | FALLOC_KEEP_SIZE, from, to - from);
    const buffer = Buffer.allocUnsafe(Math.min(COPY_BYTES, to - from));
    for (let at = nextData(manifest, from); at >= 0 && at < to; at = nextData(manifest, at)) {
      const end = Math.min(nextHole(manifest, at), to, at + buffer.length);
      readManifest(this.objects, manifest, at, end - at, buffer, 0);
      this.file.write(at, buffer.subarray(0, end - at));
      at = end;
    }
    this.local.insert(from, to);
    this.baseBytes = undefined;
  }

  seekData(offset: number): number {
    const data = offset < this.size ? this.nextDataByte(blockStart(offset)) : -1;
    if (data < 0) throw posixError('ENXIO');
    return Math.max(offset, blockStart(data));
  }

  seekHole(offset: number): number {
    if (offset >= this.size) throw posixError('ENXIO');
    for (let at = blockStart(offset); at < this.size;) {
      // A block is a hole when nothing of it is data: one part may come from the base, another from the local file.
      const block = blockStart(this.nextHoleByte(at) + BLOCK_BYTES - 1);
      if (block >= this.size) break;
      const data = this.nextDataByte(block);
      if (data < 0 || data >= block + BLOCK_BYTES) return Math.max(offset, block);
      at = block + BLOCK_BYTES;
    }
    return this.size;
  }

  /** The first byte of data at or after one that is there; -1 when there is none. */
  private nextDataByte(offset: number): number {
    for (let from = offset; from < this.size;) {
      const to = Math.min(this.local.runEnd(from), this.size);
      const data = this.local.has(from) ? this.file.nextData(from) : nextData(this.base!.manifest, from);
      if (data >= 0 && data < to) return data;
      from = to;
    }
    return -1;
  }

  /** The first byte of a hole at or after one that is there, the end counting as one. */
  private nextHoleByte(offset: number): number {
    for (let from = offset; from < this.size;) {
      const to = Math.min(this.local.runEnd(from), this.size);
      const hole = this.local.has(from) ? this.file.nextHole(from) : nextHole(this.base!.manifest, from);
      if (hole < to) return hole;
      from = to;
    }
    return this.size;
  }

  /** Blocks of the local file, and those that the base's bytes would take. */
  blocks(): number {
    this.baseBytes ??= this.countBaseBytes();
    return this.file.blocks() + Math.ceil(this.baseBytes / SECTOR_BYTES);
  }

  private countBaseBytes(): number {
    let bytes = 0;
    for (const [from, to] of this.baseRuns(0, this.size)) {
      const { manifest } = this.base!;
      for (let at = nextData(manifest, from); at >= 0 && at < to;) {
        const end = Math.min(nextHole(manifest, at), to);
        bytes += end - at;
        at = nextData(manifest, end);
      }
    }
    return bytes;
  }

  // ---- Versions

  /**
   * The work of turning the present content into a version. What changes from here on belongs to the next one. One of
   * {@link published} and {@link unpublished} has to follow before the next job. Bytes written while the job runs may or may
   * not be in its version.
   */
  job(jobId: number): IngestJob {
    if (this.inFlight) throw new Error(`working copy ${this.path} has a job already`);
    this.inFlight = new RangeSet(this.changed);
    this.changed.clear();
    return {
      jobId,
      path: this.path,
      size: this.size,
      base: this.base && encodeManifest(this.base.manifest),
      changed: this.inFlight.below(this.size),
    };
  }

  /** The job's version is held by the store: from now on this is laid over it. */
  published(manifestId: ObjectId, manifest: Manifest): void {
    this.base = { id: manifestId, manifest };
    this.baseBytes = undefined;
    this.inFlight = null;
  }

  /** The job gave no version: what it took as changed still is. */
  unpublished(): void {
    if (this.inFlight) this.changed.insertAll(this.inFlight);
    this.inFlight = null;
  }

  /** Whether nothing was written to it since the version that it is laid over; not so where a write failed halfway either. */
  get isUnchanged(): boolean {
    const { base, inFlight, changed } = this;
    if (!base || inFlight || this.size !== base.manifest.size) return false;
    return changed.below(this.size).length === 0;
  }

  // ---- Passthrough: the kernel reads and writes the local file itself

  /** Whether every byte is in the local file. */
  get isComplete(): boolean {
    return this.local.runEnd(0) === Infinity && this.local.has(0);
  }

  /** The local file's descriptor. Only for a complete one. */
  get fd(): number {
    return this.file.fd;
  }

  /** From now on the kernel may write to the local file; {@link stamp} tells whether it did. */
  share(): void {
    this.file.share();
  }

  stamp(): FileStamp {
    return this.file.stamp();
  }

  /** Whether the kernel made it longer than can be counted, and what lay beyond is gone, since this was last asked. */
  takeCut(): boolean {
    return this.file.takeCut();
  }

  /** The kernel wrote somewhere. */
  noteForeignWrites(): void {
    this.adopt(0, Infinity);
  }

  /** All bytes of a complete one that is `size` long; undefined when some of them are a hole. */
  denseBytes(size: number): Buffer | undefined {
    if (size > 0 && this.file.nextHole(0) < size) return undefined;
    const bytes = Buffer.allocUnsafe(size);
    this.file.read(0, size, bytes, 0);
    return bytes;
  }

  /** Gives up all content, of a version or not: it is as {@link WorkingCopy.ofNothing} makes one. */
  empty(): void {
    this.file.empty();
    this.base = null;
    this.local.clear();
    this.changed.clear();
    this.adopt(0, Infinity);
  }

  /** fdatasync of the local file. */
  sync(): void {
    this.file.sync();
  }

  /** Whether that failed: it fails from then on. */
  get hasFailed(): boolean {
    return this.file.hasFailed;
  }

  close(): void {
    this.file.close();
  }

  /** Closes, and removes the local file. */
  remove(): void {
    this.file.remove();
  }
}

function blockStart(offset: number): number {
  return Math.floor(offset / BLOCK_BYTES) * BLOCK_BYTES;
}

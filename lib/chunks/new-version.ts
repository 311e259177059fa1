// new-version.ts — makes a version out of a working copy: cuts what was changed into chunks, and takes the rest from the base.
// Invariant: the manifest is the one that cutting the whole file anew would give, provided that the base's was made so too.
// A cut depends on the bytes since the last cut only; so a chunk of the base that starts at a cut, and has none of its bytes
// changed, is a chunk of the new version too, and from the first such one after a change the two agree again.

import type { ObjectId } from '../crdt/ids.js';
import { ChunkCutter } from './chunk-cutter.js';
import { readManifest } from './manifest-reader.js';
import {
  encodeManifest,
  extentIndex,
  INLINE_LIMIT,
  inlineManifest,
  LONG_HOLE_BYTES,
  MAX_CHUNK_BYTES,
  MAX_SHORT_HOLES,
  nextData,
  nextHole,
} from './manifest.js';
import type { Extent, Manifest } from './manifest.js';
import type { LocalFile } from './local-file.js';
import { ObjectKind } from './object-kind.js';
import type { ObjectSource } from './object-store.js';
import type { RangeSet } from './range-set.js';
import { BLOCK_BYTES } from './writable-content.js';

/** Read at most this much of the local file at once, in bytes. */
const WINDOW_BYTES = 8 << 20;

/** Takes the objects of a new version. */
export interface ObjectSink {
  put(kind: ObjectKind, bytes: Uint8Array): ObjectId;
}

/** What the new version consists of. */
export interface Ingredients {
  readonly file: LocalFile;
  readonly size: number;
  readonly base: Manifest | null;
  /** What is read from the file; it includes everything past the base's end. */
  readonly changed: RangeSet;
  /** Holds the base's chunks. */
  readonly objects: ObjectSource;
}

/** Puts the chunks and the manifest of the new version. AbsentObjects when chunks of the base are needed that are not held. */
export function makeVersion(parts: Ingredients, sink: ObjectSink): { manifestId: ObjectId; manifest: Buffer } {
  const content = parts.size < INLINE_LIMIT ? inlineVersion(parts) : chunkedVersion(parts, sink);
  const manifest = encodeManifest(content);
  return { manifestId: sink.put(ObjectKind.manifest, manifest), manifest };
}

function inlineVersion(parts: Ingredients): Manifest {
  const bytes = Buffer.alloc(parts.size);
  readContent(parts, 0, parts.size, bytes, 0);
  // Programs may have cut the file off since it was read: what was read is no hole.
  const short = findHoles(parts).short.filter((_, i, all) => isZero(bytes.subarray(all[i & ~1], all[i | 1])));
  return inlineManifest(bytes, short);
}

function isZero(bytes: Buffer): boolean {
  return bytes.every((byte) => byte === 0);
}

function chunkedVersion(parts: Ingredients, sink: ObjectSink): Manifest {
  const extents: Extent[] = [];
  const window = new Window(parts);
  const { long, short } = findHoles(parts);
  let end = 0;
  for (const [start, holeEnd] of long) {
    for (const extent of cutRun(parts, window, sink, end, start)) extents.push(extent);
    extents.push({ offset: start, length: holeEnd - start, chunk: null });
    end = holeEnd;
  }
  for (const extent of cutRun(parts, window, sink, end, parts.size)) extents.push(extent);
  return { size: parts.size, extents, inline: null, holes: short };
}

/** The chunks of the run of data [start, end). */
function* cutRun(parts: Ingredients, window: Window, sink: ObjectSink, start: number, end: number): Generator<Extent> {
  const cutter = new ChunkCutter();
  for (let offset = start; offset < end;) {
    const reused = reusableExtent(parts, offset, end);
    if (reused) {
      yield reused;
      offset += reused.length;
      continue;
    }
    const available = window.load(offset, end);
    const cut = cutter.scan(window.buffer, available.from, available.to);
    cutter.reset();
    const bytes = window.buffer.subarray(available.from, cut < 0 ? available.to : cut);
    yield { offset, length: bytes.length, chunk: sink.put(ObjectKind.chunk, bytes) };
    offset += bytes.length;
  }
}

/** The base's chunk at `offset`, if cutting anew would give it again. */
function reusableExtent(parts: Ingredients, offset: number, runEnd: number): Extent | undefined {
  const { base, changed } = parts;
  if (!base || offset >= base.size || changed.has(offset)) return undefined;
  const index = extentIndex(base, offset);
  const extent = base.extents[index];
  if (!extent || extent.offset !== offset || extent.chunk === null) return undefined;
  const end = offset + extent.length;
  if (end > runEnd || changed.runEnd(offset) < end) return undefined;
  // A chunk that was cut off by a hole or the end of the file might have gone on otherwise.
  const next = base.extents[index + 1];
  const cutByContent = next !== undefined && next.chunk !== null;
  return cutByContent || end === runEnd ? extent : undefined;
}

/** The holes of the new version, as the manifest has them: extents of their own, and short ones. */
interface Holes {
  readonly long: (readonly [start: number, end: number])[];
  readonly short: readonly number[];
}

/** Of too many short holes the shortest become data: those of one block, then those of up to three, and so on. */
function findHoles(parts: Ingredients): Holes {
  const long: [number, number][] = [];
  let short: number[] = [];
  let leastBytes = BLOCK_BYTES;
  for (const [start, end] of holes(parts)) {
    if (end - start >= LONG_HOLE_BYTES) long.push([start, end]);
    else if (end - start >= leastBytes || (end === parts.size && leastBytes === BLOCK_BYTES)) short.push(start, end);
    while (short.length > 2 * MAX_SHORT_HOLES) {
      leastBytes *= 2;
      const least = leastBytes;
      short = short.filter((_, i) => short[i | 1]! - short[i & ~1]! >= least);
    }
  }
  return { long, short };
}

/** The holes of the new version: in order, in whole blocks (up to the end of the file). */
function* holes(parts: Ingredients): Generator<[number, number]> {
  let start = -1;
  let end = -1;
  for (const [from, to] of rawHoles(parts)) {
    if (from === end) {
      end = to;
      continue;
    }
    yield* wholeBlocks(start, end, parts.size);
    start = from;
    end = to;
  }
  yield* wholeBlocks(start, end, parts.size);
}

function* wholeBlocks(start: number, end: number, size: number): Generator<[number, number]> {
  const from = Math.ceil(start / BLOCK_BYTES) * BLOCK_BYTES;
  const to = end === size ? end : Math.floor(end / BLOCK_BYTES) * BLOCK_BYTES;
  if (end > 0 && to > from) yield [from, to];
}

/** Holes of the local file where it is read, of the base elsewhere; adjacent ones are not joined. */
function* rawHoles({ file, size, base, changed }: Ingredients): Generator<[number, number]> {
  for (let from = 0; from < size;) {
    const isLocal = changed.has(from);
    const to = Math.min(changed.runEnd(from), size);
    for (let at = from; at < to;) {
      const next = isLocal ? file.nextHole(at) : nextHole(base!, at);
      // Past the local file's end: it was cut off meanwhile. Terabytes may be missing, and reading them as zeros takes hours.
      const hole = next < 0 ? at : next;
      if (hole >= to) break;
      const data = isLocal ? file.nextData(hole) : nextData(base!, hole);
      const end = data < 0 ? to : Math.min(data, to);
      yield [hole, end];
      at = end;
    }
    from = to;
  }
}

/** Fills `into` from `at` with [from, to) of the new version. */
function readContent(parts: Ingredients, from: number, to: number, into: Buffer, at: number): void {
  for (let position = from; position < to;) {
    const end = Math.min(parts.changed.runEnd(position), to);
    const target = at + position - from;
    if (parts.changed.has(position)) parts.file.read(position, end, into, target);
    else readManifest(parts.objects, parts.base!, position, end - position, into, target);
    position = end;
  }
}

/** A part of the new version in memory. */
class Window {
  readonly buffer: Buffer;
  private readonly parts: Ingredients;
  private start = 0;
  private end = 0;

  constructor(parts: Ingredients) {
    this.parts = parts;
    this.buffer = Buffer.allocUnsafeSlow(Math.min(WINDOW_BYTES, Math.max(parts.size, 1)));
  }

  /**
   * Loads as much from `offset` on as decides on a cut (or up to `limit`), and says where it is in the buffer. Reads on while
   * that costs a read of the local file only: the base's chunks are not fetched before they are needed.
   */
  load(offset: number, limit: number): { from: number; to: number } {
    const needed = Math.min(limit, offset + MAX_CHUNK_BYTES);
    if (offset < this.start || offset > this.end) this.start = this.end = offset;
    if (this.end < needed) {
      this.buffer.copyWithin(0, offset - this.start, this.end - this.start);
      this.start = offset;
      const { changed } = this.parts;
      const free = Math.min(limit, offset + this.buffer.length);
      const end = changed.has(needed) ? Math.min(changed.runEnd(needed), free) : needed;
      readContent(this.parts, this.end, end, this.buffer, this.end - offset);
      this.end = end;
    }
    return { from: offset - this.start, to: needed - this.start };
  }
}

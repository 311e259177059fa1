// manifest.ts — a version of a file: its size and where its bytes are. Itself an object, named by the SHA-256 of its encoding.
// Invariant: the encoding is canonical (one manifest, one sequence of bytes), and extents tile [0, size) without gap or overlap.
// A file below INLINE_LIMIT carries its bytes inside and names no chunk; any other never carries bytes.
//
//   'W' 'M' version u8, form u8 (0 inline, 1 extents)
//   inline:   size varint, bytes
//   extents:  size varint, count varint, then per extent: length varint and the chunk's 32-byte id, or 0 and the hole's length varint
//   version 1: nothing follows
//   version 2: short holes: count varint > 0, then per hole: blocks since the one before it, varint, and its own blocks, varint
//
// Offsets are not stored: each extent starts where the one before it ends. A short hole is data that happens to be zeros, for whoever
// reads: it lies within chunks, or inline bytes, that hold its zeros. So a file of many short holes has no more chunks than another.

import { ByteReader, ByteWriter, CorruptionError } from '../codec/bytes.js';
import type { ObjectId } from '../crdt/ids.js';
import { posixError } from '../errno.js';
import { BLOCK_BYTES, SECTOR_BYTES } from './writable-content.js';

/** A file of fewer bytes than this is inline in its manifest. */
export const INLINE_LIMIT = 65_536;
/** No chunk is longer, in bytes. */
export const MAX_CHUNK_BYTES = 1 << 20;
/** A hole is an extent of its own from this length on, in bytes; a shorter one is kept beside the extents. */
export const LONG_HOLE_BYTES = 65_536;
/** No manifest has more short holes: their list is at most about a megabyte. */
export const MAX_SHORT_HOLES = 1 << 18;
/** No manifest is longer, in bytes: enough for 500 GB in chunks of the average length. */
export const MAX_MANIFEST_BYTES = 64 << 20;
/** A file is at most this long, in bytes: offsets are safe integers. */
export const MAX_FILE_BYTES = Number.MAX_SAFE_INTEGER;

const MAGIC_0 = 0x57; // W
const MAGIC_1 = 0x4d; // M
const VERSION_DENSE = 1;
const VERSION_SHORT_HOLES = 2;
const FORM_INLINE = 0;
const FORM_EXTENTS = 1;
const ID_BYTES = 32;
/** In place of a length: a hole follows. */
const HOLE = 0;

/** A part of a file, in bytes. */
export interface Extent {
  readonly offset: number;
  readonly length: number;
  /** The chunk that holds exactly these bytes; null: a hole, read as zeros. */
  readonly chunk: ObjectId | null;
}

export interface Manifest {
  /** Bytes. */
  readonly size: number;
  /** In order, tiling [0, size); empty when inline. */
  readonly extents: readonly Extent[];
  /** All bytes of a file below INLINE_LIMIT, else null. Not to be changed. */
  readonly inline: Buffer | null;
  /**
   * Short holes as start, end, start, end, … in bytes: whole blocks (up to the end of the file), in order, touching neither each
   * other nor a hole among the extents.
   */
  readonly holes: readonly number[];
}

export const NO_HOLES: readonly number[] = [];

/** The manifest of a file below INLINE_LIMIT. Keeps `bytes`, does not copy them; they are zeros where there are holes. */
export function inlineManifest(bytes: Buffer, holes = NO_HOLES): Manifest {
  if (bytes.length >= INLINE_LIMIT) throw new RangeError(`${bytes.length} bytes are too many to be inline`);
  return { size: bytes.length, extents: [], inline: bytes, holes };
}

/** The canonical bytes of a manifest. EFBIG when they would be more than MAX_MANIFEST_BYTES. A manifest that breaks the rules above is our bug. */
export function encodeManifest(manifest: Manifest): Buffer {
  const { size, extents, inline, holes } = manifest;
  const writer = new ByteWriter(16 + (inline ? inline.length : extents.length * (ID_BYTES + 4)) + holes.length);
  writer
    .u8(MAGIC_0)
    .u8(MAGIC_1)
    .u8(holes.length === 0 ? VERSION_DENSE : VERSION_SHORT_HOLES);
  if (inline) {
    if (size >= INLINE_LIMIT || inline.length !== size) throw new RangeError(`inline manifest of ${size} bytes`);
    writer.u8(FORM_INLINE).varint(size).raw(inline);
    encodeHoles(writer, manifest);
    return writer.view();
  }
  if (size < INLINE_LIMIT) throw new RangeError(`manifest of ${size} bytes must be inline`);
  writer.u8(FORM_EXTENTS).varint(size).varint(extents.length);
  let end = 0;
  for (const extent of extents) {
    if (extent.offset !== end) throw new RangeError(`extent at ${extent.offset} does not follow ${end}`);
    checkLength(extent, RangeError);
    if (extent.chunk === null) writer.u8(HOLE).varint(extent.length);
    else writer.varint(extent.length).raw(Buffer.from(extent.chunk, 'hex'));
    end += extent.length;
  }
  if (end !== size) throw new RangeError(`extents end at ${end}, the file at ${size}`);
  encodeHoles(writer, manifest);
  if (writer.length > MAX_MANIFEST_BYTES) throw posixError('EFBIG');
  return writer.view();
}

function encodeHoles(writer: ByteWriter, manifest: Manifest): void {
  const { holes } = manifest;
  if (holes.length === 0) return;
  const wrong = holes.length > 2 * MAX_SHORT_HOLES ? 'too many holes' : wrongHole(manifest);
  if (wrong !== undefined) throw new RangeError(`manifest: ${wrong}`);
  writer.varint(holes.length / 2);
  let last = 0;
  for (const bound of holes) {
    const block = Math.ceil(bound / BLOCK_BYTES);
    writer.varint(block - last);
    last = block;
  }
}

/** What breaks the rules of short holes; they are in order and not empty. */
function wrongHole({ size, extents, inline, holes }: Manifest): string | undefined {
  let index = 0;
  for (let i = 0; i < holes.length; i += 2) {
    const from = holes[i]!;
    const to = holes[i + 1]!;
    const at = `the hole at ${from}`;
    if (to > size) return `${at} ends past the size ${size}`;
    if (from % BLOCK_BYTES !== 0 || (to % BLOCK_BYTES !== 0 && to !== size)) return `${at} is not in whole blocks`;
    if (i > 0 && from === holes[i - 1]) return `${at} touches the one before it`;
    if (inline) {
      for (let byte = from; byte < to; byte++) if (inline[byte] !== 0) return `${at} has a byte that is not zero`;
      continue;
    }
    if (to - from >= LONG_HOLE_BYTES) return `${at} is long`;
    // Extents that end where it begins, and that begin where it ends, are looked at too.
    while (extents[index]!.offset + extents[index]!.length < from) index++;
    for (let j = index; j < extents.length && extents[j]!.offset <= to; j++) {
      if (extents[j]!.chunk === null) return `${at} touches a long one`;
    }
  }
  return undefined;
}

function checkLength(extent: Extent, Kind: new (what: string) => Error): void {
  const { offset, length, chunk } = extent;
  if (length < 1 || (chunk !== null && length > MAX_CHUNK_BYTES)) {
    throw new Kind(`manifest: extent at ${offset} has ${length} bytes`);
  }
}

/** Reads a manifest; CorruptionError for anything that {@link encodeManifest} would not have written. `inline` is a view on `bytes`. */
export function decodeManifest(bytes: Buffer): Manifest {
  const reader = new ByteReader(bytes);
  if (reader.u8('manifest magic') !== MAGIC_0 || reader.u8('manifest magic') !== MAGIC_1) {
    throw new CorruptionError('manifest: these bytes are not one');
  }
  const version = reader.u8('manifest version');
  if (version !== VERSION_DENSE && version !== VERSION_SHORT_HOLES) {
    throw new CorruptionError(`manifest: version ${version} is not known here, this software reads 1 and 2`);
  }
  const form = reader.u8('manifest form');
  const size = canonicalVarint(reader, 'manifest size');
  const content =
    form === FORM_INLINE
      ? { size, extents: [], inline: decodeInline(reader, size) }
      : { size, extents: decodeExtents(reader, form, size), inline: null };
  const manifest = { ...content, holes: version === VERSION_DENSE ? NO_HOLES : decodeHoles(reader, size) };
  reader.finish('manifest');
  const wrong = manifest.holes.length === 0 ? undefined : wrongHole(manifest);
  if (wrong !== undefined) throw new CorruptionError(`manifest: ${wrong}`);
  return manifest;
}

function decodeHoles(reader: ByteReader, size: number): number[] {
  const count = canonicalVarint(reader, 'manifest hole count');
  if (count === 0 || count > MAX_SHORT_HOLES || 2 * count > reader.remaining) {
    throw new CorruptionError(`manifest: ${count} short holes in ${reader.remaining} bytes`);
  }
  const holes: number[] = [];
  let block = 0;
  for (let i = 0; i < count; i++) {
    block += canonicalVarint(reader, 'manifest hole gap');
    holes.push(block * BLOCK_BYTES);
    const blocks = canonicalVarint(reader, 'manifest hole blocks');
    if (blocks === 0) throw new CorruptionError('manifest: a hole of no blocks');
    block += blocks;
    // The last block may be cut off by the end of the file.
    const end = block * BLOCK_BYTES;
    holes.push(end - size < BLOCK_BYTES ? Math.min(end, size) : end);
  }
  return holes;
}

function decodeInline(reader: ByteReader, size: number): Buffer {
  if (size >= INLINE_LIMIT) throw new CorruptionError(`manifest: ${size} bytes are too many to be inline`);
  return reader.view(size, 'manifest inline bytes');
}

function decodeExtents(reader: ByteReader, form: number, size: number): Extent[] {
  if (form !== FORM_EXTENTS) throw new CorruptionError(`manifest: unknown form ${form}`);
  if (size < INLINE_LIMIT) throw new CorruptionError(`manifest: ${size} bytes must be inline`);
  const count = canonicalVarint(reader, 'manifest extent count');
  // No count is believed before the bytes are there: an extent takes at least one.
  if (count > reader.remaining) throw new CorruptionError(`manifest: ${count} extents in ${reader.remaining} bytes`);
  const extents: Extent[] = [];
  let offset = 0;
  let afterHole = false;
  for (let i = 0; i < count; i++) {
    const word = canonicalVarint(reader, 'manifest extent');
    const hole = word === HOLE;
    const length = hole ? canonicalVarint(reader, 'manifest hole') : word;
    if (hole && afterHole) throw new CorruptionError(`manifest: two holes in a row at ${offset}`);
    const chunk = hole ? null : reader.view(ID_BYTES, 'manifest chunk id').toString('hex');
    const extent: Extent = { offset, length, chunk };
    checkLength(extent, CorruptionError);
    if (length > size - offset) throw new CorruptionError(`manifest: extent at ${offset} ends past the size ${size}`);
    extents.push(extent);
    offset += length;
    afterHole = hole;
  }
  if (offset !== size) throw new CorruptionError(`manifest: extents end at ${offset}, the file at ${size}`);
  return extents;
}

/** A varint in its shortest form: else two encodings would name one manifest. */
function canonicalVarint(reader: ByteReader, what: string): number {
  const start = reader.offset;
  const value = reader.varint(what);
  if (reader.offset - start > 1 && reader.buffer[reader.offset - 1] === 0) {
    throw new CorruptionError(`${what}: varint is not in its shortest form`);
  }
  return value;
}

/** Index of the extent that holds byte `offset`; `extents.length` past the end. */
export function extentIndex(manifest: Manifest, offset: number): number {
  const { extents } = manifest;
  let low = 0;
  let high = extents.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const extent = extents[middle]!;
    if (extent.offset + extent.length <= offset) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The ids of all chunks, each once. */
export function chunksOf(manifest: Manifest): ObjectId[] {
  const ids = new Set<ObjectId>();
  for (const extent of manifest.extents) if (extent.chunk !== null) ids.add(extent.chunk);
  return [...ids];
}

/** The chunks that a manifest names, each with its length in bytes. */
export function chunkLengths(manifest: Manifest): ReadonlyMap<ObjectId, number> {
  const lengths = new Map<ObjectId, number>();
  for (const { chunk, length } of manifest.extents) if (chunk !== null) lengths.set(chunk, length);
  return lengths;
}

/** How many bounds of short holes are ≤ `offset`: odd exactly when it lies in one. */
function holeRank({ holes }: Manifest, offset: number): number {
  let low = 0;
  let high = holes.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (holes[middle]! <= offset) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The first byte at or after `offset` that is not in a hole; -1 when there is none. */
export function nextData(manifest: Manifest, offset: number): number {
  const { size, extents, inline, holes } = manifest;
  if (offset >= size) return -1;
  let data = offset;
  if (!inline) {
    const index = extentIndex(manifest, offset);
    // Of two extents in a row one has a chunk.
    const extent = extents[index]!.chunk === null ? extents[index + 1] : extents[index]!;
    if (!extent) return -1;
    data = Math.max(offset, extent.offset);
  }
  const rank = holeRank(manifest, data);
  if (rank % 2 === 0) return data;
  // What follows a short hole is data, or the end.
  const end = holes[rank]!;
  return end < size ? end : -1;
}

/** The first byte at or after `offset` that is in a hole, the end of the file counting as one; -1 at or past the end. */
export function nextHole(manifest: Manifest, offset: number): number {
  const { size, extents, holes } = manifest;
  if (offset >= size) return -1;
  const rank = holeRank(manifest, offset);
  if (rank % 2 === 1) return offset;
  const short = holes[rank] ?? size;
  for (let i = extentIndex(manifest, offset); i < extents.length && extents[i]!.offset < short; i++) {
    const extent = extents[i]!;
    if (extent.chunk === null) return Math.max(offset, extent.offset);
  }
  return short;
}

/** st_blocks of a version, in units of 512 bytes: its data in whole blocks of 4 KiB. */
export function blocksOf({ size, extents, holes }: Manifest): number {
  let bytes = size;
  for (const extent of extents) if (extent.chunk === null) bytes -= extent.length;
  for (let i = 0; i < holes.length; i += 2) bytes -= holes[i + 1]! - holes[i]!;
  return Math.ceil(bytes / BLOCK_BYTES) * (BLOCK_BYTES / SECTOR_BYTES);
}

/** {@link blocksOf} a version with holes; undefined for one without: a head says nothing about those. */
export function sparseBlocksOf(manifest: Manifest): number | undefined {
  const isSparse = manifest.holes.length > 0 || manifest.extents.some(({ chunk }) => chunk === null);
  return isSparse ? blocksOf(manifest) : undefined;
}

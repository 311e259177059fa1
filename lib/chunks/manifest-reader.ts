// manifest-reader.ts — the bytes of a version, read through its manifest. Holes are zeros.
// What a read lacks is named at once, in one AbsentObjects: the peers are asked once, not chunk by chunk. Reading on costs one
// look into the store's memory per call: the chunk that the last read decoded is still there.

import { CorruptionError } from '../codec/bytes.js';
import type { ObjectId } from '../crdt/ids.js';
import { AbsentObjects } from './absent-objects.js';
import { extentIndex } from './manifest.js';
import type { Extent, Manifest } from './manifest.js';
import type { ObjectSource } from './object-store.js';

/**
 * Copies up to `length` bytes at `offset` of the file into `into` at `at`; returns how many, less than asked only at the end of
 * the file. A chunk found damaged counts as absent: the store has put it on its missing list, and a peer may hold it intact.
 */
export function readManifest(
  source: ObjectSource,
  manifest: Manifest,
  offset: number,
  length: number,
  into: Buffer,
  at: number,
): number {
  const end = Math.min(offset + length, manifest.size);
  if (offset >= end) return 0;
  if (manifest.inline) return manifest.inline.copy(into, at, offset, end);
  const { extents } = manifest;
  let absent: ObjectId[] | undefined;
  for (let i = extentIndex(manifest, offset); i < extents.length && extents[i]!.offset < end; i++) {
    const extent = extents[i]!;
    const from = Math.max(offset, extent.offset);
    const to = Math.min(end, extent.offset + extent.length);
    if (extent.chunk === null) {
      into.fill(0, at + from - offset, at + to - offset);
    } else if (absent) {
      if (!source.has(extent.chunk)) absent.push(extent.chunk);
    } else {
      const bytes = chunkBytes(source, extent, extent.chunk);
      if (bytes) bytes.copy(into, at + from - offset, from - extent.offset, to - extent.offset);
      else absent = [extent.chunk];
    }
  }
  if (absent) throw new AbsentObjects([...new Set(absent)]);
  return end - offset;
}

function chunkBytes(source: ObjectSource, extent: Extent, id: ObjectId): Buffer | undefined {
  let bytes: Buffer;
  try {
    bytes = source.get(id);
  } catch (error) {
    if (error instanceof AbsentObjects || error instanceof CorruptionError) return undefined;
    throw error;
  }
  if (bytes.length !== extent.length) {
    throw new CorruptionError(`chunk ${id}: ${bytes.length} bytes where a manifest says ${extent.length}`);
  }
  return bytes;
}

/** The chunks of [offset, offset + length) that are not held, each once. */
export function absentChunks(
  source: Pick<ObjectSource, 'has'>,
  manifest: Manifest,
  offset: number,
  length: number,
): ObjectId[] {
  const end = Math.min(offset + length, manifest.size);
  const absent = new Set<ObjectId>();
  for (let i = extentIndex(manifest, offset); i < manifest.extents.length; i++) {
    const { chunk, offset: start } = manifest.extents[i]!;
    if (start >= end) break;
    if (chunk !== null && !source.has(chunk)) absent.add(chunk);
  }
  return [...absent];
}

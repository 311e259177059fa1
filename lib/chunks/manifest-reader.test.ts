import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { CorruptionError } from '../codec/bytes.js';
import { AbsentObjects } from './absent-objects.js';
import { randomBytes, temporaryStore } from './chunks-fixture.test-support.js';
import { absentChunks, readManifest } from './manifest-reader.js';
import { inlineManifest, NO_HOLES } from './manifest.js';
import type { Extent, Manifest } from './manifest.js';
import { ObjectKind, objectIdOf } from './object-kind.js';
import type { ObjectStore } from './object-store.js';

const CHUNKS = [randomBytes(40_000, 1), randomBytes(70_000, 2), randomBytes(65_536, 3)];

/** chunk 0, hole, chunk 1, chunk 2, hole, chunk 0 */
function sample(): { manifest: Manifest; bytes: Buffer } {
  const parts = [CHUNKS[0]!, 100_000, CHUNKS[1]!, CHUNKS[2]!, 80_000, CHUNKS[0]!];
  const extents: Extent[] = [];
  const bytes = Buffer.concat(parts.map((part) => (typeof part === 'number' ? Buffer.alloc(part) : part)));
  let offset = 0;
  for (const part of parts) {
    const length = typeof part === 'number' ? part : part.length;
    extents.push({ offset, length, chunk: typeof part === 'number' ? null : objectIdOf(part) });
    offset += length;
  }
  return { manifest: { size: offset, extents, inline: null, holes: NO_HOLES }, bytes };
}

function holdAll(store: ObjectStore): void {
  for (const bytes of CHUNKS) store.put(ObjectKind.chunk, bytes);
}

test('any part of a version reads as that part of its bytes', (t) => {
  const { store } = temporaryStore(t);
  holdAll(store);
  const { manifest, bytes } = sample();
  fc.assert(
    fc.property(fc.nat(bytes.length + 10), fc.nat(bytes.length + 10), fc.nat(5), (offset, length, at) => {
      const into = Buffer.alloc(at + length + 3, 0xee);
      const count = readManifest(store, manifest, offset, length, into, at);
      assert.equal(count, Math.max(0, Math.min(length, bytes.length - offset)));
      assert.ok(into.subarray(at, at + count).equals(bytes.subarray(offset, offset + count)));
      assert.ok(
        into.subarray(0, at).every((byte) => byte === 0xee) && into.subarray(at + count).every((b) => b === 0xee),
      );
    }),
    { numRuns: 200 },
  );
});

test('inline bytes are read without the store', (t) => {
  const { store } = temporaryStore(t);
  const into = Buffer.alloc(5);
  assert.equal(readManifest(store, inlineManifest(Buffer.from('hello')), 1, 10, into, 0), 4);
  assert.equal(into.toString('latin1'), 'ello\0');
});

test('all that a read lacks is named at once, and nothing else', (t) => {
  const { store } = temporaryStore(t);
  const { manifest, bytes } = sample();
  store.put(ObjectKind.chunk, CHUNKS[1]!);
  const lacking = [objectIdOf(CHUNKS[0]!), objectIdOf(CHUNKS[2]!)];
  const into = Buffer.alloc(bytes.length);
  assert.throws(
    () => readManifest(store, manifest, 0, bytes.length, into, 0),
    (error) => error instanceof AbsentObjects && assert.deepEqual(error.ids, lacking) === undefined,
  );
  assert.deepEqual(absentChunks(store, manifest, 0, bytes.length), lacking);
  assert.deepEqual(absentChunks(store, manifest, 40_000, 170_000), []);
  assert.equal(readManifest(store, manifest, 40_000, 170_000, into, 0), 170_000);
});

test('a damaged chunk counts as absent, and its file is whole again once a peer gave it', (t) => {
  const { store, objectsDirectory } = temporaryStore(t);
  holdAll(store);
  const { manifest, bytes } = sample();
  store.flush();
  const object = store.locate(objectIdOf(CHUNKS[1]!))!;
  const path = join(objectsDirectory, object.pack);
  const pack = readFileSync(path);
  pack[object.offset + 1000]! ^= 1;
  writeFileSync(path, pack);
  const into = Buffer.alloc(bytes.length);
  assert.throws(
    () => readManifest(store, manifest, 0, bytes.length, into, 0),
    (error) => error instanceof AbsentObjects && error.ids[0] === object.id && error.ids.length === 1,
  );
  store.put(ObjectKind.chunk, CHUNKS[1]!);
  readManifest(store, manifest, 0, bytes.length, into, 0);
  assert.deepEqual(into, bytes);
});

test('a manifest that is wrong about a chunk is refused', (t) => {
  const { store } = temporaryStore(t);
  holdAll(store);
  const extents = [{ offset: 0, length: 69_999, chunk: objectIdOf(CHUNKS[1]!) }];
  assert.throws(
    () => readManifest(store, { size: 69_999, extents, inline: null, holes: NO_HOLES }, 0, 10, Buffer.alloc(10), 0),
    (error) => error instanceof CorruptionError && /70000 bytes where a manifest says 69999/.test(error.message),
  );
});

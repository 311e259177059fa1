import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ByteWriter, CorruptionError } from '../codec/bytes.js';
import { PosixError } from '../errno.js';
import {
  blocksOf,
  chunksOf,
  decodeManifest,
  encodeManifest,
  extentIndex,
  INLINE_LIMIT,
  inlineManifest,
  MAX_CHUNK_BYTES,
  MAX_MANIFEST_BYTES,
  nextData,
  nextHole,
  NO_HOLES,
} from './manifest.js';
import { BLOCK_BYTES } from './writable-content.js';
import type { Extent, Manifest } from './manifest.js';

const ID = 'ab'.repeat(32);

const anyId = fc.uint8Array({ minLength: 32, maxLength: 32 }).map((bytes) => Buffer.from(bytes).toString('hex'));

/** Short holes of a file: whole blocks that are in none of its long ones and touch none. */
function withHoles(manifest: Manifest, blocks: readonly number[]): Manifest {
  const { size, extents, inline } = manifest;
  const isData = (at: number): boolean =>
    at < 0 || at >= size || inline !== null || extents[extentIndex(manifest, at)]!.chunk !== null;
  const holes: number[] = [];
  for (const block of [...new Set(blocks)].toSorted((a, b) => a - b)) {
    const from = block * BLOCK_BYTES;
    const to = Math.min(from + BLOCK_BYTES, size);
    if (from >= size || from === holes.at(-1) || ![from - 1, from, to - 1, to].every(isData)) continue;
    if (extents.some(({ offset, length, chunk }) => chunk === null && offset < to && from < offset + length)) continue;
    holes.push(from, to);
    inline?.fill(0, from, to);
  }
  return { ...manifest, holes };
}

/** Extents without two holes in a row, of at least INLINE_LIMIT bytes in all. */
const anyExtents: fc.Arbitrary<Manifest> = fc.oneof(
  fc.uint8Array({ maxLength: 300 }).map((bytes) => inlineManifest(Buffer.from(bytes))),
  fc
    .array(
      fc.oneof(
        fc.record({ length: fc.integer({ min: 1, max: MAX_CHUNK_BYTES }), chunk: anyId }),
        fc.record({ length: fc.integer({ min: 1, max: 2 ** 44 }), chunk: fc.constant(null) }),
      ),
      { maxLength: 20 },
    )
    .map((parts) => {
      const extents: Extent[] = [];
      let offset = 0;
      for (const { length, chunk } of [...parts, { length: INLINE_LIMIT, chunk: ID }]) {
        if (chunk === null && extents.at(-1)?.chunk === null) continue;
        extents.push({ offset, length, chunk });
        offset += length;
      }
      return { size: offset, extents, inline: null, holes: NO_HOLES };
    }),
);

const anyManifest: fc.Arbitrary<Manifest> = fc
  .tuple(
    fc.oneof(
      anyExtents,
      fc.nat(60_000).map((length) => inlineManifest(Buffer.alloc(length, 1))),
    ),
    fc.array(fc.nat(400), { maxLength: 8 }),
  )
  .map(([manifest, blocks]) => withHoles(manifest, blocks));

test('a manifest comes back as it was written', () => {
  fc.assert(
    fc.property(anyManifest, (manifest) => {
      const bytes = encodeManifest(manifest);
      assert.deepEqual(decodeManifest(bytes), manifest);
      assert.deepEqual(encodeManifest(decodeManifest(bytes)), bytes);
    }),
  );
});

test('the encoding stays what it was', () => {
  assert.equal(encodeManifest(inlineManifest(Buffer.from('hello'))).toString('hex'), '574d01000568656c6c6f');
  const extents = [
    { offset: 0, length: 65_536, chunk: ID },
    { offset: 65_536, length: 200_000, chunk: null },
  ];
  assert.equal(
    encodeManifest({ size: 265_536, extents, inline: null, holes: NO_HOLES }).toString('hex'),
    `574d0101c09a1002808004${ID}00c09a0c`,
  );
  assert.equal(
    encodeManifest(inlineManifest(Buffer.alloc(5000), [4096, 5000])).toString('hex'),
    `574d02008827${'00'.repeat(5000)}010101`,
  );
  assert.equal(
    encodeManifest({ size: 265_536, extents, inline: null, holes: [4096, 12_288] }).toString('hex'),
    `574d0201c09a1002808004${ID}00c09a0c010102`,
  );
});

test('every cut and every flipped bit is refused or changes what is read', () => {
  fc.assert(
    fc.property(anyManifest, fc.nat(), fc.integer({ min: 0, max: 7 }), (manifest, position, bit) => {
      const bytes = encodeManifest(manifest);
      assert.throws(() => decodeManifest(bytes.subarray(0, position % bytes.length)), CorruptionError);
      assert.throws(() => decodeManifest(Buffer.concat([bytes, Buffer.of(0)])), CorruptionError);
      const flipped = Buffer.from(bytes);
      flipped[position % bytes.length]! ^= 1 << bit;
      try {
        assert.deepEqual(encodeManifest(decodeManifest(flipped)), flipped);
      } catch (error) {
        assert.ok(error instanceof CorruptionError, String(error));
      }
    }),
  );
});

test('any bytes are read or refused, never worse', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (tail) => {
      for (const [version, form] of [
        [1, 0],
        [1, 1],
        [2, 0],
        [2, 1],
      ] as const) {
        const bytes = Buffer.concat([Buffer.of(0x57, 0x4d, version, form), tail]);
        try {
          assert.deepEqual(encodeManifest(decodeManifest(bytes)), bytes);
        } catch (error) {
          assert.ok(error instanceof CorruptionError, String(error));
        }
      }
    }),
  );
});

/** The bytes of a manifest with extents, whatever they say. */
function forged(size: number, count: number, write: (writer: ByteWriter) => void): Buffer {
  const writer = new ByteWriter().u8(0x57).u8(0x4d).u8(1).u8(1).varint(size).varint(count);
  write(writer);
  return writer.copy();
}

/** An inline manifest of zeros with short holes, whatever they say. */
function holed(size: number, ...words: number[]): Buffer {
  const writer = new ByteWriter().u8(0x57).u8(0x4d).u8(2).u8(0).varint(size).raw(Buffer.alloc(size));
  for (const word of words) writer.varint(word);
  return writer.copy();
}

/** The bytes of a manifest of 400,000 bytes, of one extent or two, with short holes, whatever they say. */
function holedExtents(count: number, write: (writer: ByteWriter) => void): Buffer {
  const writer = new ByteWriter().u8(0x57).u8(0x4d).u8(2).u8(1).varint(400_000).varint(count);
  write(writer);
  return writer.copy();
}

const chunk = (writer: ByteWriter, length: number) => writer.varint(length).raw(Buffer.alloc(32));
const hole = (writer: ByteWriter, length: number) => writer.u8(0).varint(length);

test('manifests that lie are refused by name', () => {
  const cases: [RegExp, Buffer][] = [
    [/not one/, Buffer.from('no manifest')],
    [/version 3/, Buffer.of(0x57, 0x4d, 3, 0, 0)],
    [/0 short holes/, holed(8192, 0)],
    [/300000 short holes/, holed(8192, 300_000)],
    [/2 short holes in 2 bytes/, holed(8192, 2, 0, 1)],
    [/of no blocks/, holed(8192, 1, 0, 0)],
    [/ends past the size/, holed(8192, 1, 1, 2)],
    [/ends past the size/, holed(8192, 1, 2, 1)],
    [/touches the one before/, holed(20_000, 2, 0, 1, 0, 1)],
    [/not zero/, Buffer.concat([Buffer.of(0x57, 0x4d, 2, 0, 1, 1), Buffer.of(1, 0, 1)])],
    [/hole at 0 is long/, holedExtents(1, (w) => chunk(w, 400_000).varint(1).varint(0).varint(16))],
    [/touches a long one/, holedExtents(2, (w) => chunk(hole(w, 200_704), 199_296).varint(1).varint(49).varint(1))],
    [/touches a long one/, holedExtents(2, (w) => chunk(hole(w, 200_704), 199_296).varint(1).varint(10).varint(1))],
    [/touches a long one/, holedExtents(2, (w) => hole(chunk(w, 200_704), 199_296).varint(1).varint(48).varint(1))],
    [/unknown form 7/, Buffer.of(0x57, 0x4d, 1, 7, 0)],
    [/must be inline/, forged(5, 1, (w) => chunk(w, 5))],
    [/too many to be inline/, new ByteWriter().u8(0x57).u8(0x4d).u8(1).u8(0).varint(INLINE_LIMIT).copy()],
    [/two holes in a row/, forged(400_000, 2, (w) => hole(hole(w, 200_000), 200_000))],
    [/has 0 bytes/, forged(400_000, 1, (w) => hole(w, 0))],
    [/has 1048577 bytes/, forged(1_048_577, 1, (w) => chunk(w, 1_048_577))],
    [/ends past the size/, forged(400_000, 1, (w) => hole(w, 400_001))],
    [/extents end at 100000/, forged(400_000, 1, (w) => chunk(w, 100_000))],
    [/1000000 extents in/, forged(400_000, 1_000_000, (w) => chunk(w, 100_000))],
    [/shortest form/, Buffer.of(0x57, 0x4d, 1, 0, 0x80, 0)],
  ];
  for (const [message, bytes] of cases) {
    assert.throws(
      () => decodeManifest(bytes),
      (error: Error) => error instanceof CorruptionError && message.test(error.message),
      String(message),
    );
  }
});

test('a file too large for a manifest gives EFBIG', () => {
  const count = Math.ceil(MAX_MANIFEST_BYTES / 34);
  const extents = Array.from({ length: count }, (_, i) => ({ offset: i * 65_536, length: 65_536, chunk: ID }));
  assert.throws(
    () => encodeManifest({ size: count * 65_536, extents, inline: null, holes: NO_HOLES }),
    (error) => error instanceof PosixError && error.code === 'EFBIG',
  );
});

test('extents, data and holes are found by position', () => {
  fc.assert(
    fc.property(anyManifest, fc.double({ min: 0, max: 1, noNaN: true }), (manifest, share) => {
      const offset = Math.floor(share * manifest.size);
      const { extents } = manifest;
      const index = extentIndex(manifest, offset);
      const linear = extents.findIndex((each) => offset >= each.offset && offset < each.offset + each.length);
      assert.equal(index, linear < 0 ? extents.length : linear);
      if (offset >= manifest.size) return;
      const gaps = extents
        .filter((each) => each.chunk === null)
        .map((each): [number, number] => [each.offset, each.offset + each.length]);
      for (let i = 0; i < manifest.holes.length; i += 2) gaps.push([manifest.holes[i]!, manifest.holes[i + 1]!]);
      gaps.sort(([a], [b]) => a - b);
      const gap = gaps.find(([, end]) => end > offset);
      assert.equal(nextHole(manifest, offset), gap ? Math.max(gap[0], offset) : manifest.size);
      // Holes never touch.
      const data = gap && gap[0] <= offset ? gap[1] : offset;
      assert.equal(nextData(manifest, offset), data < manifest.size ? data : -1);
    }),
  );
});

test('blocks count data only', () => {
  const extents = [
    { offset: 0, length: 65_536, chunk: ID },
    { offset: 65_536, length: 2 ** 40, chunk: null },
    { offset: 65_536 + 2 ** 40, length: 1, chunk: ID },
  ];
  const manifest = { size: 65_537 + 2 ** 40, extents, inline: null, holes: NO_HOLES };
  assert.equal(blocksOf(manifest), 128 + 8);
  assert.equal(blocksOf({ ...manifest, holes: [8192, 12_288] }), 128);
  assert.equal(blocksOf(inlineManifest(Buffer.alloc(10_000), [8192, 10_000])), 16);
  assert.equal(blocksOf(inlineManifest(Buffer.alloc(1))), 8);
  assert.equal(blocksOf(inlineManifest(Buffer.alloc(0))), 0);
  assert.deepEqual(chunksOf(manifest), [ID]);
});

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { ChunkCutter, MIN_CHUNK_BYTES, NORMAL_CHUNK_BYTES } from './chunk-cutter.js';
import { randomBytes } from './chunks-fixture.test-support.js';
import { MAX_CHUNK_BYTES } from './manifest.js';

/** Lengths of all chunks, the bytes being handed over in pieces of the given lengths (repeated as needed). */
function cut(bytes: Uint8Array, pieces: readonly number[] = [bytes.length]): number[] {
  const cutter = new ChunkCutter();
  const lengths: number[] = [];
  let start = 0;
  let piece = 0;
  for (let at = 0; at < bytes.length;) {
    const end = Math.min(bytes.length, at + pieces[piece++ % pieces.length]!);
    const found = cutter.scan(bytes, at, end);
    if (found >= 0) {
      lengths.push(found - start);
      start = found;
    }
    at = found >= 0 ? found : end;
  }
  if (start < bytes.length) lengths.push(bytes.length - start);
  return lengths;
}

function chunkNames(bytes: Uint8Array): Set<string> {
  let at = 0;
  return new Set(
    cut(bytes).map((length) =>
      createHash('sha256')
        .update(bytes.subarray(at, (at += length)))
        .digest('hex'),
    ),
  );
}

test('chunks tile the bytes, and keep the bounds', () => {
  fc.assert(
    fc.property(fc.integer(), fc.integer({ min: 1, max: 6 << 20 }), (seed, length) => {
      const lengths = cut(randomBytes(length, seed));
      assert.equal(
        lengths.reduce((sum, each) => sum + each, 0),
        length,
      );
      for (const [i, each] of lengths.entries()) {
        assert.ok(each <= MAX_CHUNK_BYTES);
        if (i < lengths.length - 1) assert.ok(each >= MIN_CHUNK_BYTES);
      }
    }),
    { numRuns: 20 },
  );
});

test('cuts do not depend on how the bytes came in', () => {
  const bytes = randomBytes(3 << 20, 1);
  const whole = cut(bytes);
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 300_000 }), { minLength: 1, maxLength: 8 }), (pieces) => {
      assert.deepEqual(cut(bytes, pieces), whole);
    }),
    { numRuns: 20 },
  );
  assert.deepEqual(cut(bytes.subarray(0, 400_000), [1]), cut(bytes.subarray(0, 400_000)));
});

test('one byte more changes a few chunks only', () => {
  const bytes = randomBytes(16 << 20, 2);
  const names = chunkNames(bytes);
  fc.assert(
    fc.property(fc.integer({ min: 0, max: bytes.length }), fc.integer({ min: 0, max: 255 }), (at, byte) => {
      const longer = Buffer.concat([bytes.subarray(0, at), Buffer.of(byte), bytes.subarray(at)]);
      const fresh = [...chunkNames(longer)].filter((name) => !names.has(name));
      assert.ok(fresh.length <= 8, `${fresh.length} new chunks`);
    }),
    { numRuns: 10 },
  );
});

test('chunks of random bytes are near the normal length on average', () => {
  const lengths = cut(randomBytes(64 << 20, 3));
  const average = (64 << 20) / lengths.length;
  assert.ok(average > NORMAL_CHUNK_BYTES * 0.9 && average < NORMAL_CHUNK_BYTES * 1.4, `${average} bytes`);
});

test('bytes without a cut are cut at the upper bound', () => {
  assert.deepEqual(cut(Buffer.alloc(3 * MAX_CHUNK_BYTES + 5)), [MAX_CHUNK_BYTES, MAX_CHUNK_BYTES, MAX_CHUNK_BYTES, 5]);
});

// All sites must cut alike, for good: this fails when the gear table, a mask or a bound changes.
test('cuts of known bytes stay what they were', () => {
  assert.deepEqual(cut(randomBytes(2 << 20, 4)), [331905, 265860, 353304, 302059, 275320, 310262, 258442]);
});

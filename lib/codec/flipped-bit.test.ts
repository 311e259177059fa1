import assert from 'node:assert/strict';
import { test } from 'node:test';
import { crc32 } from 'node:zlib';
import fc from 'fast-check';
import { flippedBit, isSingleBit } from './flipped-bit.js';

test('a flipped bit is found by the difference of the sums, wherever it is', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 1, maxLength: 300 }), fc.nat(), fc.nat(2 ** 31), (bytes, place, seed) => {
      const kept = crc32(bytes, seed);
      const bit = place % (bytes.length * 8);
      bytes[bit >>> 3]! ^= 1 << (bit & 7);
      assert.equal(flippedBit(crc32(bytes, seed) ^ kept, bytes.length), bit);
    }),
  );
});

test('equal sums point to no bit, and a flip of the sum itself is told from one of the bytes', () => {
  assert.equal(flippedBit(0, 4096), undefined);
  assert.equal(isSingleBit(1 << 31), true);
  assert.equal(isSingleBit(0), false);
  assert.equal(isSingleBit(3), false);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SmallContent } from './small-content.js';
import { BLOCK_BYTES, FALLOC_KEEP_SIZE, FALLOC_PUNCH_HOLE, holeBytes } from './writable-content.js';

test('what fallocate would take of the disk is the holes of a range, and what lies past the end', () => {
  const content = new SmallContent(Buffer.alloc(6 * BLOCK_BYTES, 1));
  const of = (from: number, to: number): number =>
    holeBytes(content, from * BLOCK_BYTES, to * BLOCK_BYTES) / BLOCK_BYTES;
  assert.equal(of(0, 6), 0);
  content.fallocate(FALLOC_PUNCH_HOLE | FALLOC_KEEP_SIZE, BLOCK_BYTES, BLOCK_BYTES);
  content.fallocate(FALLOC_PUNCH_HOLE | FALLOC_KEEP_SIZE, 4 * BLOCK_BYTES, 2 * BLOCK_BYTES);
  assert.deepEqual([of(0, 1), of(0, 2), of(1, 5), of(0, 6)], [0, 1, 2, 3]);
  assert.deepEqual([of(5, 8), of(3, 100), of(10, 20)], [3, 96, 10]);
  assert.equal(holeBytes(content, BLOCK_BYTES + 10, BLOCK_BYTES + 30), 20);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BufferPool } from './buffer-pool.js';

test('a buffer that was given back is lent again, to one at a time, and not too much is kept', () => {
  const pool = new BufferPool(256 << 10);
  const first = pool.take(100_000);
  assert.equal(first.length, 128 << 10);
  const second = pool.take(70_000);
  assert.equal(second.length, 96 << 10);
  assert.notEqual(first.buffer, second.buffer);
  pool.give(first);
  assert.equal(pool.take(128 << 10).buffer, first.buffer);
  for (const buffer of [pool.take(1), pool.take(1), pool.take(200_000), pool.take(5 << 20)]) pool.give(buffer);
  const kept = pool.take(1);
  const other = pool.take(1);
  assert.notEqual(kept.buffer, other.buffer);
  assert.equal(pool.take(5 << 20).length, 5 << 20);
});

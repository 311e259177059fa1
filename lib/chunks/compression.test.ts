import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CorruptionError } from '../codec/bytes.js';
import { compress, decompress } from './compression.js';
import { randomBytes, wordyBytes } from './chunks-fixture.test-support.js';
import { ObjectKind } from './object-kind.js';

test('text is compressed and comes back', () => {
  const bytes = wordyBytes(300_000, 1);
  const compressed = compress(ObjectKind.chunk, bytes);
  assert.ok(compressed && compressed.length < bytes.length / 2);
  assert.deepEqual(decompress(compressed, bytes.length, 'test'), bytes);
});

test('base64 is compressed: its bytes are not spread evenly', () => {
  const bytes = Buffer.from(randomBytes(300_000, 1).toString('base64'));
  assert.ok(compress(ObjectKind.chunk, bytes));
});

test('what does not gain is left alone', () => {
  assert.equal(compress(ObjectKind.chunk, randomBytes(300_000, 1)), null);
  assert.equal(compress(ObjectKind.chunk, wordyBytes(1000, 1)), null);
  assert.equal(compress(ObjectKind.manifest, wordyBytes(60_000, 1)), null);
  const deceiving = Buffer.concat([wordyBytes(4096, 1), randomBytes(300_000, 1)]);
  assert.equal(compress(ObjectKind.chunk, deceiving), null);
});

test('damaged, torn and inflated data are refused', () => {
  const bytes = wordyBytes(100_000, 1);
  const compressed = compress(ObjectKind.chunk, bytes)!;
  assert.throws(() => decompress(compressed.subarray(0, 100), bytes.length, 'it'), CorruptionError);
  assert.throws(() => decompress(compressed, bytes.length - 1, 'it'), CorruptionError);
  assert.throws(() => decompress(compressed, bytes.length + 1, 'it'), /it: decompressed to 100000 bytes/);
  assert.throws(() => decompress(Buffer.alloc(0), 0, 'it'), CorruptionError);
});

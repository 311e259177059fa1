import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ByteReader, ByteWriter, CorruptionError } from './bytes.js';
import { DeltaReader, TextReader, UintReader } from './column-reader.js';

const bytes = (...values: number[]): ByteReader => new ByteReader(Uint8Array.from(values));
const rows = <T>(column: { next(): T }, count: number): T[] => Array.from({ length: count }, () => column.next());

test('runs, literal runs and differences are read row by row', () => {
  assert.deepEqual(rows(new UintReader(bytes(3, 7, 0x7e, 1, 0x80, 1), 'column'), 5), [7, 7, 7, 1, 128]);
  assert.deepEqual(rows(new DeltaReader(bytes(2, 5, 0x7e, 0x7f, 0), 'column'), 4), [5, 10, 9, 9]);
  assert.deepEqual(rows(new TextReader(bytes(2, 2, 0xc3, 0xa9, 0x7f, 0), 'column'), 3), ['é', 'é', '']);
});

test('a row that is not there, a null or a value that is cut off is a CorruptionError that names the column', () => {
  for (const input of [[], [0, 2], [2], [0x7e, 1], [0x80], [1, 0x80]]) {
    assert.throws(() => rows(new UintReader(bytes(...input), 'heights'), 2), {
      name: 'CorruptionError',
      message: /heights/,
    });
  }
  assert.throws(() => new TextReader(bytes(1, 5, 0x61), 'names').next(), /names/);
});

test('a run of any length costs nothing, and a sum above 2^53 is refused', () => {
  const run = new ByteWriter()
    .sleb128(Number.MAX_SAFE_INTEGER)
    .sleb128(2 ** 52)
    .view();
  const column = new DeltaReader(new ByteReader(run), 'column');
  assert.equal(column.next(), 2 ** 52);
  assert.throws(() => column.next(), CorruptionError);
});

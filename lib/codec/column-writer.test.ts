import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ByteReader } from './bytes.js';
import { DeltaColumn, UintColumn } from './column-writer.js';

const uints = new UintColumn();
const deltas = new DeltaColumn();

function write(column: UintColumn | DeltaColumn, values: readonly number[]): Buffer {
  column.reset();
  for (const value of values) column.append(value);
  return column.finish().copy();
}

/** The rows, and what the runs are: lengths of runs, literal runs negative. */
function read(bytes: Buffer, next: (input: ByteReader) => number): { rows: number[]; runs: number[] } {
  const input = new ByteReader(bytes);
  const rows: number[] = [];
  const runs: number[] = [];
  while (input.remaining > 0) {
    const run = input.sleb128();
    runs.push(run);
    if (run > 0) rows.push(...(Array.from({ length: run }).fill(next(input)) as number[]));
    else for (let i = 0; i < -run; i++) rows.push(next(input));
  }
  return { rows, runs };
}

test('the examples of the specification', () => {
  assert.deepEqual([...write(uints, [1, 1, 1, 1, 1])], [5, 1]);
  assert.deepEqual([...write(uints, [1, 2, 3])], [0x7d, 1, 2, 3]);
  assert.deepEqual([...write(deltas, [3, 6, 9, 12])], [4, 3]);
  assert.deepEqual([...write(uints, [])], []);
  assert.deepEqual([...write(uints, [0])], [0x7f, 0]);
  assert.deepEqual([...write(deltas, [0, 0, 5, 4])], [2, 0, 0x7e, 5, 0x7f]);
});

test('any column can be read back, and has no run that could be longer or that should not be one', () => {
  const rows = fc
    .array(fc.tuple(fc.oneof(fc.nat(3), fc.nat(2 ** 31)), fc.oneof(fc.constant(1), fc.integer({ min: 1, max: 200 }))), {
      maxLength: 60,
    })
    .map((parts) => parts.flatMap(([value, times]) => Array.from({ length: times }, () => value)));
  fc.assert(
    fc.property(rows, (values) => {
      const plain = read(write(uints, values), (input) => input.varint());
      assert.deepEqual(plain.rows, values);
      for (const [i, run] of plain.runs.entries()) {
        assert.notEqual(run, 1);
        if (run < 0 && i > 0) assert.ok(plain.runs[i - 1]! > 0, 'two literal runs in a row');
      }
      let last = 0;
      const summed = read(write(deltas, values), (input) => input.sleb128()).rows.map((delta) => (last += delta));
      assert.deepEqual(summed, values);
    }),
  );
});

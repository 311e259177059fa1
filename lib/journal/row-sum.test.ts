import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type Cell, checkRow, rowSum, seal, unseal } from './row-sum.js';

const cell: fc.Arbitrary<Cell> = fc.oneof(
  fc.maxSafeInteger(),
  fc.string(),
  fc.uint8Array({ maxLength: 40 }),
  fc.constant(null),
);

test('one value that changed changes the sum of its row', () => {
  fc.assert(
    fc.property(fc.array(cell, { minLength: 1, maxLength: 6 }), fc.nat(), fc.nat(52), (row, place, bit) => {
      const at = place % row.length;
      const value = row[at]!;
      let changed: Cell = null;
      if (typeof value === 'number') changed = Number(BigInt.asIntN(53, BigInt(value) ^ (1n << BigInt(bit))));
      else if (typeof value === 'string') changed = `${value.slice(0, -1)}\u0000`;
      else if (value !== null && value.length > 0) changed = value.with(0, value[0]! ^ 1);
      fc.pre(changed !== value && changed !== null && Number.isSafeInteger(typeof changed === 'number' ? changed : 0));
      assert.notEqual(rowSum(...row.with(at, changed)), rowSum(...row));
    }),
  );
});

test('a row is good or named, and a sealed blob under another key is damaged', () => {
  checkRow(() => 'actor 1', rowSum(1, 'a', null), 1, 'a', null);
  assert.throws(() => checkRow(() => 'actor 1', rowSum(1, 'a', null), 1, 'b', null), /actor 1: its row .* damaged/);
  const sealed = seal(7, Buffer.from('state'));
  assert.equal(unseal('inode 7', 7, sealed).toString(), 'state');
  assert.throws(() => unseal('inode 8', 8, sealed), /inode 8: its row .* damaged/);
  assert.throws(() => unseal('inode 7', 7, Buffer.alloc(2)), /inode 7/);
});

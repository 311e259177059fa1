import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ActorTable } from './ids.js';
import type { Entry } from './inode.js';
import { compareEntries, sameOp, writeRegister } from './register.js';
import type { EntryWrite } from './register.js';

const actors = new ActorTable();
// Interned against the order of their ids.
const [B, A] = [actors.intern('b'.repeat(32)), actors.intern('a'.repeat(32))];

function write(counter: number, actor: number, stamp: number, pred: readonly EntryWrite[] = []): EntryWrite {
  return { counter, actor, stamp, value: `${counter}@${actor}`, pred };
}

function values(entries: readonly Entry[]): unknown[] {
  return entries.map((entry) => entry.value);
}

test('a write replaces what it names and stands beside the rest, the winner first', () => {
  const first = write(1, A, 10);
  const second = write(2, B, 20, [first]);
  const concurrent = write(2, A, 30, [first]);
  let entries = writeRegister(undefined, first, actors);
  entries = writeRegister(entries, second, actors);
  assert.deepEqual(values(entries), [second.value]);
  entries = writeRegister(entries, concurrent, actors);
  assert.deepEqual(values(entries), [concurrent.value, second.value]);
  entries = writeRegister(entries, write(3, B, 40, [second, concurrent]), actors);
  assert.equal(entries.length, 1);
});

test('the winner is the highest stamp, then actor id, then counter', () => {
  const low = write(9, A, 10);
  const high = write(1, A, 11);
  assert.ok(compareEntries(high, low, actors) > 0);
  assert.ok(compareEntries(write(1, B, 10), low, actors) > 0);
  assert.ok(compareEntries(write(10, A, 10), low, actors) > 0);
});

test('a duplicate changes nothing, and a replay of a chain ends where it ended', () => {
  const first = write(1, A, 10);
  const second = write(2, A, 20, [first]);
  const entries = writeRegister(writeRegister(undefined, first, actors), second, actors);
  assert.equal(writeRegister(entries, second, actors), entries);
  const replayed = writeRegister(writeRegister(entries, first, actors), second, actors);
  assert.deepEqual(replayed, entries);
});

test('what was read before a write is left as it was', () => {
  const entries = writeRegister(undefined, write(1, A, 10), actors);
  const before = [...entries];
  writeRegister(entries, write(1, B, 20), actors);
  assert.deepEqual(entries, before);
});

test('concurrent writes give the same register in any order', () => {
  const op = fc.record({ counter: fc.integer({ min: 1, max: 6 }), actor: fc.constantFrom(A, B), stamp: fc.nat(3) });
  fc.assert(
    fc.property(fc.uniqueArray(op, { comparator: sameOp, maxLength: 8 }), fc.nat(), (ops, seed) => {
      const writes = ops.map(({ counter, actor, stamp }) => write(counter, actor, stamp));
      const shuffled = writes.toSorted((a, b) => ((a.counter * 31 + seed) % 7) - ((b.counter * 31 + seed) % 7));
      const apply = (all: EntryWrite[]): readonly Entry[] =>
        all.reduce<readonly Entry[]>((entries, one) => writeRegister(entries, one, actors), []);
      assert.deepEqual(values(apply(writes)), values(apply(shuffled)));
    }),
  );
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ActorTable } from './ids.js';
import type { Entry } from './inode.js';
import { writeRegister, type EntryWrite } from './register.js';
import { mergeEntries } from './state-merge.js';

const ACTORS = 3;

/** Writes to one register by three actors, each of which has seen what it overwrites. */
function history(choices: readonly (readonly [number, number])[]): EntryWrite[] {
  const actors = actorTable();
  const writes: EntryWrite[] = [];
  const seenWrites = Array.from({ length: ACTORS }, () => new Set<number>());
  for (const [actor, from] of choices) {
    // It takes in all that another one has seen.
    for (const index of seenWrites[from % ACTORS]!) {
      if (seenWrites[actor]!.has(index)) continue;
      seenWrites[actor]!.add(index);
    }
    let entries: readonly Entry[] = [];
    for (const [index, write] of writes.entries())
      if (seenWrites[actor]!.has(index)) entries = writeRegister(entries, write, actors);
    const counter = writes.length + 1;
    const write = { counter, actor, stamp: 1_000 + counter, value: counter, pred: [...entries] };
    seenWrites[actor]!.add(writes.length);
    writes.push(write);
  }
  return writes;
}

function actorTable(): ActorTable {
  const actors = new ActorTable();
  for (let i = 0; i < ACTORS; i++) actors.intern(`${i}`.repeat(32));
  return actors;
}

/** The cut that a vector of counters means, if it is closed under what its writes overwrite. */
function cut(writes: readonly EntryWrite[], upTo: readonly number[]): EntryWrite[] {
  let within = writes.filter(({ actor, counter }) => counter <= upTo[actor]!);
  for (;;) {
    const closed = within.filter(
      (write) =>
        write.pred.every((op) => within.some((other) => other.counter === op.counter && other.actor === op.actor)) &&
        writes.every(
          (other) => other.actor !== write.actor || other.counter >= write.counter || within.includes(other),
        ),
    );
    if (closed.length === within.length) return closed;
    within = closed;
  }
}

test('the merge of two states is the state of all their writes', () => {
  const actors = actorTable();
  const choice = fc.tuple(fc.nat(ACTORS - 1), fc.nat(ACTORS - 1));
  const ends = fc.array(fc.nat(14), { minLength: ACTORS, maxLength: ACTORS });
  fc.assert(
    fc.property(fc.array(choice, { maxLength: 14 }), ends, ends, (choices, left, right) => {
      const writes = history(choices);
      const fold = (some: readonly EntryWrite[]): readonly Entry[] =>
        some.reduce<readonly Entry[]>((entries, write) => writeRegister(entries, write, actors), []);
      const side = (some: readonly EntryWrite[]) => ({
        entries: fold(some),
        hasSeen: (op: { counter: number; actor: number }) =>
          some.some(({ actor, counter }) => actor === op.actor && counter === op.counter),
      });
      const [a, b] = [cut(writes, left), cut(writes, right)];
      const both = writes.filter((write) => a.includes(write) || b.includes(write));
      assert.deepEqual(mergeEntries(side(a), side(b), actors), fold(both));
      assert.deepEqual(mergeEntries(side(b), side(a), actors), fold(both));
    }),
    { numRuns: 500 },
  );
});

test('a side that brings nothing new leaves the entries as they are', () => {
  const actors = actorTable();
  const entries = [{ counter: 2, actor: 0, stamp: 2, value: 'b' }];
  const older = [{ counter: 1, actor: 0, stamp: 1, value: 'a' }];
  const own = { entries, hasSeen: ({ counter }: { counter: number }) => counter <= 2 };
  const other = { entries: older, hasSeen: ({ counter }: { counter: number }) => counter <= 1 };
  assert.equal(mergeEntries(own, other, actors), entries);
  assert.deepEqual(mergeEntries(other, own, actors), entries);
});

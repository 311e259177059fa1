import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import type { ChangeOp } from '../crdt/change.js';
import { decodeChange } from './change-codec.js';
import { JournalReader } from './journal-reader.js';
import { Journal } from './journal.js';
import { temporaryDirectory } from './temporary-directory.js';

const op = (key: string, length = 10): ChangeOp => ({ key, value: 'v'.repeat(length), pred: [] });
const actorOf = (index: number): string => `${index + 10}`.repeat(16);

test('a site that applies what it lacks in the order given never meets a change before what it builds on', (t) => {
  const directory = temporaryDirectory(t);
  let run = 0;
  const history = fc.array(fc.tuple(fc.nat(3), fc.integer({ min: 1, max: 400 })), { minLength: 1, maxLength: 200 });
  fc.assert(
    fc.property(
      history,
      fc.array(fc.nat(1000), { minLength: 4, maxLength: 4 }),
      fc.integer({ min: 1, max: 5_000 }),
      (writes, held, maxBytes) => {
        const source = Journal.open(join(directory, `${++run}`));
        for (const [actor, length] of writes) {
          const { bytes, change } = source.author(actorOf(actor), [op('1.a', length)], 1);
          source.appendChange(bytes, change);
        }
        source.commit(0);
        const reader = JournalReader.open(join(directory, `${run}`));
        try {
          // The other site holds some prefix of the history, so a prefix of each actor.
          const vector = new Map<string, number>();
          const prefix = held[0]! % (writes.length + 1);
          for (const [actor] of writes.slice(0, prefix))
            vector.set(actorOf(actor), (vector.get(actorOf(actor)) ?? 0) + 1);
          const lacking = writes.length - prefix;

          let sent = 0;
          let before =
            vector.size === 0
              ? undefined
              : reader.change(lastActor(writes, prefix), vector.get(lastActor(writes, prefix))!);
          for (;;) {
            const changes = reader.changesAfter(vector, maxBytes);
            if (changes.length === 0) break;
            const totalBytes = changes.reduce((sum, { bytes }) => sum + bytes.length, 0);
            assert.ok(changes.length === 1 || totalBytes <= maxBytes);
            for (const { actor, seq, hash, stamp, bytes, deps } of changes) {
              const change = decodeChange(bytes, 1 << 20);
              assert.deepEqual([change.actor, change.seq, change.hash, change.stamp], [actor, seq, hash, stamp]);
              assert.equal(seq, (vector.get(actor) ?? 0) + 1);
              if (before) assert.ok(change.deps.includes(before.hash), 'the history is a chain');
              assert.ok(
                deps.length === change.deps.length && deps.every((dot) => dot.seq <= (vector.get(dot.actor) ?? 0)),
              );
              vector.set(actor, seq);
              before = { actor, seq, hash, stamp, bytes, deps };
              sent++;
            }
          }
          assert.equal(sent, lacking);
          assert.deepEqual([...vector].toSorted(), [...reader.vector()].toSorted());
        } finally {
          reader.close();
          source.close();
        }
      },
    ),
    { numRuns: 40 },
  );
});

function lastActor(writes: readonly (readonly [number, number])[], prefix: number): string {
  return actorOf(writes[prefix - 1]![0]);
}

test('a reader sees commits and nothing uncommitted', (t) => {
  const directory = temporaryDirectory(t);
  assert.throws(() => JournalReader.open(directory), /no such state/);
  const journal = Journal.open(directory);
  t.after(() => journal.close());
  const reader = JournalReader.open(directory);
  t.after(() => reader.close());
  assert.equal(reader.vector().size, 0);
  const { bytes, change } = journal.author(actorOf(1), [op('1.a')], 5);
  journal.appendChange(bytes, change);
  journal.setMeta('key', 'value');
  assert.deepEqual(reader.changesAfter(new Map(), 1_000), []);
  journal.commit(0);
  assert.deepEqual([...reader.vector()], [[actorOf(1), 1]]);
  assert.equal(reader.journalBytes(), bytes.length);
  assert.equal(reader.bytesAfter(new Map()), bytes.length);
  assert.equal(reader.bytesAfter(reader.vector()), 0);
  assert.equal(reader.meta('key'), 'value');
  assert.equal(reader.change(actorOf(1), 1)?.hash, change.hash);
  assert.equal(reader.change(actorOf(1), 2), undefined);
  assert.equal(reader.change(actorOf(2), 1), undefined);
  // A vector that knows more than we do is no reason to send anything.
  assert.deepEqual(
    reader.changesAfter(
      new Map([
        [actorOf(1), 9],
        [actorOf(7), 3],
      ]),
      1_000,
    ),
    [],
  );
});

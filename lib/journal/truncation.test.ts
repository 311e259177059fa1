import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { encodeChange, type EncodedChange } from './change-codec.js';
import { Journal } from './journal.js';
import { JournalReader } from './journal-reader.js';
import { BaseRows } from './base-rows.js';
import { foldChange, predecessors } from './register-fold.js';
import { temporaryDirectory } from './temporary-directory.js';

const ACTORS = ['a1', 'b2'].map((byte) => byte.repeat(16)) as [string, string];

/** A journal of `count` changes by two actors, each building on all before it; each writes one of five inodes. */
function fill(journal: Journal, count: number): EncodedChange[] {
  const made: EncodedChange[] = [];
  for (let i = 0; i < count; i++) {
    const key = `${2 + (i % 5)}.x:user.n`;
    const ops = [{ key, value: `=${i}`, pred: predecessors(key, journal.store, journal.actors) }];
    const encoded = journal.author(ACTORS[i % 2]!, ops, 1_000 + i);
    journal.appendChange(encoded.bytes, encoded.change);
    foldChange(encoded.change, journal.store, journal.actors);
    journal.commit(0);
    made.push(encoded);
  }
  return made;
}

/** Runs until nothing is left to do. */
function truncate(journal: Journal, mayGo: (stamp: number) => boolean): void {
  while (
    journal.truncate(
      ({ stamp }) => mayGo(stamp),
      () => false,
    )
  );
  journal.commit(0);
}

test('what is dropped is in the base, and what is left follows it', (t) => {
  const directory = temporaryDirectory(t);
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 30 }), fc.integer({ min: 0, max: 30 }), (count, dropped) => {
      const at = `${directory}/${count}-${dropped}-${Math.random()}`;
      const journal = Journal.open(at);
      const made = fill(journal, count);
      const vector = new Map(journal.vector());
      truncate(journal, (stamp) => stamp < 1_000 + dropped);
      assert.deepEqual(new Map(journal.vector()), vector);
      assert.equal(journal.changeCount, count);
      journal.close();

      const again = Journal.open(at);
      const reader = JournalReader.open(at);
      const left = reader.changesAfter(reader.floor(), Infinity);
      assert.deepEqual(
        left.map(({ hash }) => hash),
        made.slice(dropped).map(({ change }) => change.hash),
      );
      assert.equal(again.lastStamp(), 1_000 + count - 1);
      assert.equal(
        again.journalBytes,
        left.reduce((sum, { bytes }) => sum + bytes.length, 0),
      );
      // The base, and the changes that are left on it, make the registers that all changes made.
      const scratch = Journal.open(`${at}-scratch`);
      for (let index = 0; index < again.actors.size; index++) scratch.actors.intern(again.actors.id(index));
      for (const { inode } of new BaseRows(again.db).after(-1)) scratch.store.insert(inode);
      for (const { change } of made.slice(dropped)) foldChange(change, scratch.store, scratch.actors);
      for (const ino of again.store.inodes())
        assert.deepEqual([...scratch.store.inode(ino)!.registers], [...again.store.inode(ino)!.registers]);
      reader.close();
      scratch.close();
      again.close();
    }),
    { numRuns: 15 },
  );
});

test('a change that builds on what was dropped is taken when its sender says where that stood', (t) => {
  const directory = temporaryDirectory(t);
  const journal = Journal.open(directory);
  const made = fill(journal, 6);
  truncate(journal, () => true);
  const old = made[1]!.change;
  const draft = { actor: 'c3'.repeat(16), seq: 1, startOp: 3, stamp: 2_000, deps: [old.hash], ops: [] };
  const { bytes, change } = encodeChange(draft);
  assert.ok(!journal.isReady(change));
  const deps = [{ actor: journal.actors.intern(old.actor), seq: old.seq }];
  assert.ok(journal.isReady(change, deps));
  assert.ok(journal.appendChange(bytes, change, deps));
  assert.ok(!journal.isReady(change, [{ actor: deps[0]!.actor, seq: 99 }]), 'nobody has that one');
  journal.close();
});

test('a change that was dropped is taken for known when it comes again', (t) => {
  const directory = temporaryDirectory(t);
  const journal = Journal.open(directory);
  const [first] = fill(journal, 4);
  truncate(journal, () => true);
  assert.ok(journal.holds(first!.change));
  assert.ok(!journal.appendChange(first!.bytes, first!.change));
  // The next one builds on the last, which only the heads know.
  fill(journal, 1);
  assert.equal(journal.vector().get(ACTORS[0]), 3);
  journal.close();
});

test('a damaged change is not dropped, nor what comes after it', (t) => {
  const directory = temporaryDirectory(t);
  const journal = Journal.open(directory);
  fill(journal, 6);
  journal.db.exec("update change set bytes = x'00' where lsn = 3");
  truncate(journal, () => true);
  assert.equal(journal.floor.lsn, 2);
  journal.verifyChange(ACTORS[0], 2);
  truncate(journal, () => true);
  assert.equal(journal.floor.lsn, 2);
  journal.close();
});

test('the file shrinks when much was dropped', (t) => {
  const directory = temporaryDirectory(t);
  const journal = Journal.open(directory);
  const key = '2.x:user.n';
  for (let i = 0; i < 400; i++) {
    const pred = predecessors(key, journal.store, journal.actors);
    const { bytes, change } = journal.author(ACTORS[0], [{ key, value: `=${'.'.repeat(9_000)}${i}`, pred }], 1_000 + i);
    journal.appendChange(bytes, change);
    foldChange(change, journal.store, journal.actors);
  }
  journal.commit(0);
  const pages = (): number => journal.db.pragma('page_count', { simple: true }) as number;
  const before = pages();
  truncate(journal, (stamp) => stamp < 1_390);
  assert.ok(pages() < before / 2, `${before} pages before, ${pages()} after`);
  journal.close();
});

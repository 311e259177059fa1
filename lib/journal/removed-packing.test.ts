import assert from 'node:assert/strict';
import { mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import fc from 'fast-check';
import type { Ino } from '../crdt/ids.js';
import { formatTombstone } from '../crdt/fields.js';
import type { Inode } from '../crdt/inode.js';
import { BaseRows } from './base-rows.js';
import { Journal, type JournalOptions } from './journal.js';
import { predecessors, foldChange } from './register-fold.js';
import { temporaryDirectory } from './temporary-directory.js';

const ACTOR = 'a1'.repeat(16);
const SMALL = { removed: { perBlock: 4, waiting: 8 }, cachedInodes: 2 };

/** One change: a write to a register of an inode, after which it has so many names. */
function write(journal: Journal, ino: Ino, field: string, value: string, nlink: number): void {
  const { store, actors } = journal;
  const key = `${ino}.${field}`;
  const stamp = 1_000 + journal.maxOp;
  const { bytes, change } = journal.author(ACTOR, [{ key, value, pred: predecessors(key, store, actors) }], stamp);
  journal.appendChange(bytes, change);
  foldChange(change, store, actors);
  const inode = store.inode(ino)!;
  inode.nlink = nlink;
  inode.atime = { s: ino, ns: 1 };
  store.touch(inode);
}

const create = (journal: Journal, ino: Ino): void => write(journal, ino, 'link:1', `1/file ${ino}`, 1);
const remove = (journal: Journal, ino: Ino): void =>
  write(journal, ino, 'link:1', formatTombstone(1, `file ${ino}`, []), 0);
const note = (journal: Journal, ino: Ino, text: string): void =>
  write(journal, ino, 'x:user.n', `=${text}`, journal.store.inode(ino)?.nlink ?? 1);

/** Inodes 10 to 17 were removed, and are in blocks 1 and 2; closed after the test. */
function withPacked(t: TestContext, options: JournalOptions = SMALL): Journal {
  const journal = Journal.open(temporaryDirectory(t), options);
  t.after(() => journal.close());
  for (let ino = 10; ino < 18; ino++) create(journal, ino);
  for (let ino = 10; ino < 18; ino++) remove(journal, ino);
  truncate(journal);
  return journal;
}

/** Drops all changes, or the oldest ones. */
function truncate(journal: Journal, changes = Infinity): void {
  while (
    journal.truncate(
      () => changes-- > 0,
      () => false,
    )
  );
  journal.commit(0);
}

function count(journal: Journal, table: string): number {
  return journal.db.prepare(`select count(*) from ${table}`).pluck().get() as number;
}

function contentsOf({ store }: Journal): unknown[] {
  return [...store.inodes()].map((ino) => told(store.inode(ino)!));
}

function told({ ino, nlink, atime, registers }: Inode): unknown {
  return [ino, nlink, atime, [...registers].toSorted()];
}

function baseOf({ db }: Journal): unknown[] {
  return [...new BaseRows(db).after(-1)].map(({ inode }) => [inode.ino, [...inode.registers].toSorted()]);
}

test('removed inodes that the journal is through with are in blocks, and read as before', (t) => {
  const directory = temporaryDirectory(t);
  const journal = Journal.open(directory, SMALL);
  for (let ino = 10; ino < 30; ino++) create(journal, ino);
  for (let ino = 10; ino < 28; ino++) remove(journal, ino);
  journal.commit(0);
  const before = contentsOf(journal);
  truncate(journal);
  assert.equal(count(journal, 'removed'), 16);
  assert.equal(count(journal, 'removed_block'), 4);
  assert.equal(count(journal, 'removed_due'), 2, 'too few for a block');
  assert.equal(count(journal, 'inode'), 4);
  assert.equal(count(journal, 'base'), 4);
  assert.deepEqual(contentsOf(journal), before);
  assert.equal(new BaseRows(journal.db).count(), 20);
  journal.close();
  const again = Journal.open(directory, SMALL);
  t.after(() => again.close());
  assert.deepEqual(contentsOf(again), before);
  assert.equal(baseOf(again).length, 20);
});

test('a removed inode that is written to again comes out of its block with the base, and goes into another one', (t) => {
  const journal = withPacked(t);
  assert.equal(count(journal, 'removed'), 8);
  note(journal, 11, 'late');
  journal.commit(0);
  assert.equal(count(journal, 'inode'), 1, 'its row goes before the block');
  assert.equal(count(journal, 'removed'), 8, 'which still says what the base says');
  assert.deepEqual(journal.store.inode(11)!.registers.get('x:user.n')![0]!.value, '=late');
  assert.equal(new BaseRows(journal.db).read(11)!.registers.has('x:user.n'), false);
  truncate(journal);
  assert.equal(count(journal, 'removed'), 7);
  assert.equal(new BaseRows(journal.db).read(11)!.registers.has('x:user.n'), true);
  assert.deepEqual(journal.store.inode(11)!.atime, { s: 11, ns: 1 });
  for (let ino = 20; ino < 28; ino++) create(journal, ino);
  for (let ino = 20; ino < 28; ino++) remove(journal, ino);
  truncate(journal);
  assert.equal(journal.db.prepare('select block from removed where ino = 11').pluck().get(), 3);
});

test('a block of which little is left is given up', (t) => {
  const journal = withPacked(t);
  for (let ino = 10; ino < 13; ino++) note(journal, ino, 'late');
  truncate(journal);
  assert.equal(count(journal, 'removed_block'), 1);
  assert.deepEqual(journal.db.prepare('select ino from removed order by ino').pluck().all(), [14, 15, 16, 17]);
  assert.deepEqual(journal.db.prepare('select ino from removed_due order by ino').pluck().all(), [10, 11, 12, 13]);
});

test('whatever is written, removed, revived and dropped: registers, times and base are those of a journal that packs nothing', (t) => {
  const root = temporaryDirectory(t);
  const step = fc.record({
    kind: fc.constantFrom('create', 'remove', 'note', 'drop', 'reopen'),
    ino: fc.integer({ min: 10, max: 24 }),
    count: fc.integer({ min: 1, max: 20 }),
  });
  let packed = 0;
  fc.assert(
    fc.property(fc.array(step, { minLength: 10, maxLength: 60 }), (steps) => {
      const at = mkdtempSync(join(root, 'run-'));
      const directories = [join(at, 'packing'), join(at, 'plain')] as const;
      const all = [{ perBlock: 2, waiting: 3 }, { waiting: Number.MAX_SAFE_INTEGER }].map((removed) => ({
        removed,
        cachedInodes: 2,
      }));
      let journals = directories.map((directory, i) => Journal.open(directory, all[i]));
      for (const [i, { kind, ino, count: changes }] of steps.entries()) {
        if (kind === 'reopen') {
          for (const journal of journals) journal.close();
          journals = directories.map((directory, which) => Journal.open(directory, all[which]));
        }
        for (const journal of journals) {
          if (kind === 'create') create(journal, ino);
          if (kind === 'remove') remove(journal, ino);
          if (kind === 'note') note(journal, ino, String(i));
          if (kind === 'drop') truncate(journal, changes);
          if (kind === 'drop') packed += count(journal, 'removed');
          if (i % 3 === 0) journal.commit(0);
        }
        assert.deepEqual(contentsOf(journals[0]!), contentsOf(journals[1]!));
        assert.deepEqual(baseOf(journals[0]!), baseOf(journals[1]!));
      }
      for (const journal of journals) journal.close();
    }),
    { numRuns: 60 },
  );
  assert.ok(packed > 0, 'nothing was packed');
});

test('the mount stood still while a base was taken over: each removed inode came out of its block, though it says the same', (t) => {
  const journal = withPacked(t);
  const other = withPacked(t, { removed: { waiting: Number.MAX_SAFE_INTEGER } });
  note(other, 11, 'late');
  truncate(other);
  const rows = other.db.prepare('select ino, state from base').raw().all() as [Ino, Buffer][];
  const insert = journal.db.prepare('insert into incoming(ino, state) values (?, ?)');
  for (const row of rows) insert.run(...row);
  journal.base.join((_own, incoming) => incoming);
  assert.deepEqual(journal.db.prepare('select ino from base').pluck().all(), [11]);
  assert.equal(count(journal, 'removed'), 7);
  assert.deepEqual(baseOf(journal), baseOf(other));
});

test('a damaged block is named, and not taken for inodes that never were', (t) => {
  const journal = withPacked(t);
  const { db } = journal;
  db.exec("update removed_block set state = x'00' || substr(state, 2) where id = 1");
  assert.throws(() => new BaseRows(db).read(11), /block 1 of removed inodes: its row in state.db is damaged/);
  db.exec('update removed_block set state = 5 where id = 1');
  assert.throws(() => new BaseRows(db).read(11), /block 1 of removed inodes: its row in state.db is damaged/);
  db.exec('update removed set block = 2 where ino = 12');
  assert.throws(() => new BaseRows(db).read(12), /removed inode 12: not in block 2/);
  db.exec('delete from removed_block where id = 1');
  assert.throws(() => new BaseRows(db).read(13), /removed inode 13: not in block 1/);
});

import assert from 'node:assert/strict';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { CorruptionError } from '../codec/bytes.js';
import type { ChangeOp } from '../crdt/change.js';
import { encodeChange } from './change-codec.js';
import type { EncodedChange } from './change-codec.js';
import { Journal } from './journal.js';
import { checkState, statePath, walPath } from './schema.js';
import { temporaryDirectory } from './temporary-directory.js';

const ALICE = 'a1'.repeat(16);
const BOB = 'b2'.repeat(16);
const op = (key: string, value: string | number = key): ChangeOp => ({ key, value, pred: [] });

function openJournal(t: TestContext, directory = temporaryDirectory(t)): Journal {
  const journal = Journal.open(directory);
  t.after(() => journal.close());
  return journal;
}

function author(journal: Journal, actor: string, ...ops: ChangeOp[]): EncodedChange {
  const encoded = journal.author(actor, ops, 1_000);
  assert.ok(journal.appendChange(encoded.bytes, encoded.change));
  return encoded;
}

/** A chain of changes by one actor, made elsewhere. */
function chain(t: TestContext, actor: string, length: number): EncodedChange[] {
  const journal = openJournal(t);
  return Array.from({ length }, (_, i) => author(journal, actor, op(`${i}.mode`, i)));
}

test('local changes build on the heads and on the own last change', (t) => {
  const journal = openJournal(t);
  assert.deepEqual([journal.heads, journal.maxOp, journal.vector().size], [[], 0, 0]);
  const first = author(journal, ALICE, op('1.a'), op('1.b')).change;
  assert.deepEqual([first.seq, first.startOp, first.deps], [1, 1, []]);
  const second = author(journal, ALICE, op('1.c')).change;
  assert.deepEqual([second.seq, second.startOp, second.deps], [2, 3, [first.hash]]);

  const [remote] = chain(t, BOB, 1) as [EncodedChange];
  journal.appendChange(remote.bytes, remote.change);
  assert.deepEqual(journal.heads, [second.hash, remote.change.hash].toSorted());
  const third = author(journal, ALICE, op('1.d')).change;
  assert.deepEqual(third.deps, [second.hash, remote.change.hash].toSorted());
  assert.deepEqual(journal.heads, [third.hash]);
  assert.equal(journal.maxOp, 4);
  assert.deepEqual(
    [...journal.vector()],
    [
      [ALICE, 3],
      [BOB, 1],
    ],
  );
  assert.ok(journal.has(ALICE, 3) && !journal.has(ALICE, 4) && !journal.has('cc'.repeat(16), 1));
  assert.ok(journal.hasHash(first.hash) && !journal.hasHash('00'.repeat(32)));
  assert.equal(journal.lastHashOf(BOB), remote.change.hash);
});

test('everything is the same after a restart, and nothing uncommitted is', (t) => {
  const directory = temporaryDirectory(t);
  const journal = Journal.open(directory);
  author(journal, ALICE, op('1.a'), op('1.b'));
  const [remote] = chain(t, BOB, 1) as [EncodedChange];
  journal.appendChange(remote.bytes, remote.change);
  journal.actors.intern('cc'.repeat(16));
  journal.setMeta('site', 'Zürich');
  journal.commit(17);
  const expected = [
    journal.heads,
    journal.maxOp,
    [...journal.vector()],
    journal.lastHashOf(ALICE),
    journal.journalBytes,
  ];
  author(journal, ALICE, op('1.c'));
  journal.setMeta('site', 'Genève');
  journal.abandon(); // as a crash would

  const reopened = openJournal(t, directory);
  assert.deepEqual(
    [reopened.heads, reopened.maxOp, [...reopened.vector()], reopened.lastHashOf(ALICE), reopened.journalBytes],
    expected,
  );
  assert.equal(reopened.foldedLsn, 17);
  assert.equal(reopened.meta('site'), 'Zürich');
  assert.deepEqual(
    [0, 1, 2].map((index) => reopened.actors.id(index)),
    [ALICE, BOB, 'cc'.repeat(16)],
  );
  reopened.setMeta('site', undefined);
  assert.equal(reopened.meta('site'), undefined);
});

test('a change that is here already is not appended again', (t) => {
  const journal = openJournal(t);
  const [first, second] = chain(t, BOB, 2) as [EncodedChange, EncodedChange];
  assert.ok(journal.appendChange(first.bytes, first.change));
  assert.ok(journal.appendChange(second.bytes, second.change));
  assert.ok(!journal.appendChange(first.bytes, first.change));
  assert.deepEqual(journal.heads, [second.change.hash]);
});

test('two different changes under one number, or a gap in an actor, are refused', (t) => {
  const journal = openJournal(t);
  const [first] = chain(t, BOB, 1) as [EncodedChange];
  journal.appendChange(first.bytes, first.change);
  const twin = encodeChange({ ...first.change, ops: [op('1.other')] });
  assert.throws(() => journal.appendChange(twin.bytes, twin.change), CorruptionError);
  const leap = encodeChange({ ...first.change, seq: 3, deps: [first.change.hash] });
  assert.throws(() => journal.appendChange(leap.bytes, leap.change), CorruptionError);
  assert.deepEqual(journal.heads, [first.change.hash]);
});

test('changes that arrive too early wait, also over a restart, and come out in causal order', (t) => {
  const directory = temporaryDirectory(t);
  const changes = chain(t, BOB, 5);
  let journal = Journal.open(directory);
  for (const { bytes, change } of [4, 2, 3, 2].map((index) => changes[index]!)) {
    assert.ok(!journal.isReady(change));
    assert.ok(journal.park(bytes, change));
  }
  assert.deepEqual(journal.unparkReady(), []);
  journal.close();

  journal = openJournal(t, directory);
  assert.equal(journal.parked().length, 3);
  for (const { bytes, change } of changes.slice(0, 2)) journal.appendChange(bytes, change);
  const order: number[] = [];
  for (let ready = journal.unparkReady(); ready.length > 0; ready = journal.unparkReady()) {
    for (const { bytes, change } of ready) {
      order.push(change.seq);
      journal.appendChange(bytes, change);
    }
  }
  assert.deepEqual(order, [3, 4, 5]);
  assert.deepEqual(journal.parked(), []);
  journal.commit(0);
  assert.equal(journal.db.prepare('select count(*) from parked').pluck().get(), 0);
});

test('a parked change that comes again once it is ready is not handed out twice', (t) => {
  const journal = openJournal(t);
  const [first, second] = chain(t, BOB, 2) as [EncodedChange, EncodedChange];
  journal.park(second.bytes, second.change);
  journal.appendChange(first.bytes, first.change);
  journal.appendChange(second.bytes, second.change);
  assert.deepEqual(journal.unparkReady(), []);
  assert.deepEqual(journal.parked(), []);
});

test('what waits is bounded', (t) => {
  const journal = openJournal(t);
  const missing = ['00'.repeat(32)];
  const large = (seq: number): EncodedChange =>
    encodeChange({ actor: BOB, seq, startOp: 1, stamp: 1, deps: missing, ops: [op('1.x:a', 'v'.repeat(20_000_000))] });
  const kept = [1, 2, 3, 4].map((seq) => {
    const { bytes, change } = large(seq);
    return journal.park(bytes, change);
  });
  assert.deepEqual(kept, [true, true, true, false]);
});

test('inode sequence numbers are never handed out twice, after a clean end or a crash', (t) => {
  const directory = temporaryDirectory(t);
  const used = new Set<number>();
  for (let life = 0; life < 6; life++) {
    const journal = Journal.open(directory);
    for (let i = 0; i < 10; i++) {
      const number = journal.sequences.take();
      assert.ok(!used.has(number), `${number} in life ${life}`);
      used.add(number);
      if (i === 5) journal.commit(0);
    }
    if (life % 2 === 0) journal.close();
    else journal.abandon();
  }
  const journal = openJournal(t, directory);
  assert.ok(journal.sequences.take() < 4 * 2 ** 18, 'a clean end wastes none');
  // The reservation is renewed by commits before it runs out.
  for (let i = 0; i < 2 ** 19; i++) {
    journal.sequences.take();
    if (i % 50_000 === 0) journal.commit(0);
  }
});

test('a failed commit closes the journal, and leaves the state of the commit before', (t) => {
  const directory = temporaryDirectory(t);
  const journal = Journal.open(directory);
  author(journal, ALICE, op('1.a'));
  journal.commit(1);
  author(journal, ALICE, op('1.b', 'x'.repeat(100_000)));
  journal.db.pragma(`max_page_count = ${journal.db.pragma('page_count', { simple: true }) as number}`);
  assert.throws(() => {
    for (let i = 0; i < 100; i++) author(journal, ALICE, op(`${i}.a`, 'x'.repeat(10_000)));
    journal.commit(2);
  }, /full/);
  assert.equal(journal.isUsable, false);
  journal.abandon();
  const reopened = openJournal(t, directory);
  assert.equal(reopened.foldedLsn, 1);
  assert.deepEqual([...reopened.vector()], [[ALICE, 1]]);
});

test('what changes much is not in memory until its commit, and is given up as a whole', (t) => {
  const directory = temporaryDirectory(t);
  const journal = Journal.open(directory);
  journal.setMeta('before', 'x');
  journal.commit(0);
  const text = 'a much longer text '.repeat(50_000);
  const writeMuch = (to: Journal, first = 0): void => {
    for (let i = first; i < first + 100; i++) to.setMeta(`text ${i}`, text);
  };
  assert.throws(
    () =>
      journal.changeMuch(() => {
        writeMuch(journal);
        throw new Error('half done');
      }),
    /half done/,
  );
  assert.equal(journal.isUsable, false);

  const again = openJournal(t, directory);
  assert.equal(again.meta('text 0'), undefined);
  assert.equal(again.meta('before'), 'x');
  const walSize = (): number => statSync(walPath(statePath(directory))).size;
  const emptyBytes = walSize();
  again.changeMuch(() => writeMuch(again));
  assert.ok(walSize() > emptyBytes + (20 << 20), `${walSize()} bytes before the commit`);
  again.commit(0);
  const committedBytes = walSize();
  writeMuch(again, 100);
  assert.equal(walSize(), committedBytes, 'what changes little does not leave it');
  again.commit(0);
  assert.equal(again.meta('text 99'), text);
});

test('relax and walBytes refuse to run in the middle of a commit', (t) => {
  const journal = openJournal(t);
  author(journal, ALICE, op('1.a'));
  assert.throws(() => journal.relax(), /relax\(\)/);
  assert.throws(() => journal.walBytes(), /walBytes\(\)/);
  journal.commit(1);
  journal.relax();
  assert.ok(journal.walBytes() > 0);
});

test('a damaged or foreign state file is named, with the remedy, and stays as it is', (t) => {
  const directory = temporaryDirectory(t);
  const path = statePath(directory);
  const journal = Journal.open(directory);
  for (let i = 0; i < 200; i++) author(journal, ALICE, op(`${i}.a`, 'x'.repeat(500)));
  assert.deepEqual(checkState(journal.db), []);
  journal.close();
  const intact = readFileSync(path);

  const damages: Record<string, (bytes: Buffer) => Buffer> = {
    'a header of noise': (bytes) => bytes.fill(0x5a, 0, 100),
    'pages of noise': (bytes) => bytes.fill(0x5a, 8192, 40_960),
    'a cut file': (bytes) => bytes.subarray(0, 20_480),
    'another program’s application id': (bytes) => bytes.fill(0, 68, 72),
  };
  for (const [what, damage] of Object.entries(damages)) {
    const damaged = damage(Buffer.from(intact));
    writeFileSync(path, damaged);
    const opening = (): void => Journal.open(directory).close();
    assert.throws(opening, CorruptionError, what);
    assert.throws(
      opening,
      (error: Error) => error.message.startsWith(path) && error.message.includes('weft join'),
      what,
    );
    assert.ok(readFileSync(path).equals(damaged), `${what}: the file was changed`);
  }
  writeFileSync(path, intact);
  assert.equal(Journal.open(directory).vector().get(ALICE), 200);
});

test('a state written by a later version is refused with what to do', (t) => {
  const directory = temporaryDirectory(t);
  Journal.open(directory).close();
  const journal = Journal.open(directory);
  journal.db.pragma('user_version = 99');
  journal.close();
  assert.throws(() => Journal.open(directory), /version 99 .*update weft/);
});

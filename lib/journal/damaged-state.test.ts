// Damage to state.db and its log: told at the next open, and put right where one bit explains it.

import assert from 'node:assert/strict';
import { copyFileSync, cpSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { ROOT_INO } from '../crdt/ids.js';
import { Inode } from '../crdt/inode.js';
import { encodeChange } from './change-codec.js';
import { Journal } from './journal.js';
import { JournalReader } from './journal-reader.js';
import { checkPageSums, sumsPath } from './page-sums.js';
import { statePath, walPath } from './schema.js';
import { temporaryDirectory } from './temporary-directory.js';

const TIME = { s: 1, ns: 0 };
const ACTOR = 'a'.repeat(32);

function fill(journal: Journal, from: number, count: number): void {
  for (let i = from; i < from + count; i++) {
    journal.store.insert(
      new Inode(i, new Map([['mode', [{ counter: i, actor: 0, stamp: i, value: i }]]]), 1, TIME, TIME),
    );
    journal.store.setDirent({ parent: ROOT_INO, name: `file ${i}`, ino: i, link: 0, type: 8 });
  }
}

function flipBits(path: string, at: number, mask: number): void {
  const bytes = readFileSync(path);
  bytes[at]! ^= mask;
  writeFileSync(path, bytes);
}

/** A state that was closed in an orderly way, with 200 files. */
function closedState(directory: string): void {
  const journal = Journal.open(directory);
  journal.actors.intern(ACTOR);
  fill(journal, 10, 200);
  journal.close();
}

test('one bit that flipped in state.db while it was closed is flipped back and told, wherever it is', (t) => {
  const directory = temporaryDirectory(t);
  closedState(directory);
  const path = statePath(directory);
  const whole = readFileSync(path);
  assert.equal(checkPageSums(path).kind, 'intact');
  for (let i = 0; i < 25; i++) {
    const at = Math.floor((whole.length / 25) * i) + i;
    flipBits(path, at, 1 << (i & 7));
    const told: string[] = [];
    Journal.open(directory, { healed: (what) => told.push(what) }).close();
    assert.match(told.join(), /page \d+ of .*one bit was flipped/, `byte ${at}`);
  }
});

test('more damage than one bit in a page is refused by name, and nothing is served', (t) => {
  const directory = temporaryDirectory(t);
  closedState(directory);
  flipBits(statePath(directory), 9000, 0x81);
  assert.throws(() => Journal.open(directory), /page 3 changed while nobody had it open.*weft fsck --repair --state/);
});

test('damaged page sums are no damage of the state', (t) => {
  const directory = temporaryDirectory(t);
  closedState(directory);
  flipBits(sumsPath(statePath(directory)), 30, 0x11);
  Journal.open(directory).close();
});

test('page sums are there only while nobody has the state open', (t) => {
  const directory = temporaryDirectory(t);
  closedState(directory);
  const path = statePath(directory);
  const journal = Journal.open(directory);
  assert.ok(!existsSync(sumsPath(path)));
  assert.equal(checkPageSums(path).kind, 'unknown');
  journal.close();
  assert.ok(existsSync(sumsPath(path)));
});

test('a row that changed is an error that names it, not another file', (t) => {
  const directory = temporaryDirectory(t);
  const journal = Journal.open(directory, { cachedInodes: 2, cachedDirents: 2 });
  t.after(() => journal.close());
  fill(journal, 10, 20);
  journal.commit(0);
  journal.db.exec("update dirent set ino = 11 where name = 'file 15'");
  journal.db.exec("update inode set state = x'00' || substr(state, 2) where ino = 16");
  for (let ino = 20; ino < 30; ino++) journal.store.inode(ino);
  assert.throws(() => journal.store.lookup(ROOT_INO, 'file 15'), /entry "file 15" of directory 1: .*damaged/);
  assert.throws(() => journal.store.inode(16), /inode 16: .*damaged/);
  assert.equal(journal.store.lookup(ROOT_INO, 'file 17')?.ino, 17);
  assert.throws(() => journal.store.list(ROOT_INO, 0, 100), /file 15/);
});

test('state.db put back alone beside the log of a later time is told, not mixed with it', (t) => {
  const directory = temporaryDirectory(t);
  const backup = join(directory, 'backup.db');
  const crashed = join(directory, 'crashed');
  const state = join(directory, 'state');
  const journal = Journal.open(state, { walTargetBytes: 16 * 4096 });
  t.after(() => journal.close());
  fill(journal, 10, 50);
  journal.commit(0);
  journal.relax();
  copyFileSync(statePath(state), backup);
  for (let i = 0; i < 300; i++) {
    fill(journal, 1000 + i * 20, 20);
    journal.commit(0);
    journal.relax();
  }
  cpSync(state, crashed, { recursive: true, filter: (path) => !path.endsWith('-shm') });
  assert.ok(readFileSync(walPath(statePath(crashed))).length > 0);
  copyFileSync(backup, statePath(crashed));
  assert.throws(() => Journal.open(crashed), /an older file was put back alone/);
  // As it was it opens.
  copyFileSync(statePath(state), statePath(crashed));
  Journal.open(crashed).close();
});

test('a site did not start: power loss left headers of a log that was started over on pages of its last turn', (t) => {
  const directory = temporaryDirectory(t);
  const crashed = join(directory, 'crashed');
  const state = join(directory, 'state');
  const journal = Journal.open(state, { walTargetBytes: 100 * 4096 });
  t.after(() => journal.close());
  const log = walPath(statePath(state));
  const turn = (): string => readFileSync(log).toString('latin1', 16, 24);
  const first = turn();
  let before = readFileSync(log);
  while (turn() === first) {
    before = readFileSync(log);
    journal.commit(0);
    journal.relax();
  }
  const commits = 40;
  for (let i = 0; i < commits; i++) journal.commit(0);
  cpSync(state, crashed, { recursive: true, filter: (path) => !path.endsWith('-shm') });
  const now = readFileSync(log);
  now.copy(before, 0, 0, 32);
  for (let at = 32, i = 0; i <= commits; i++, at += 4120) now.copy(before, at, at, at + 24);
  writeFileSync(walPath(statePath(crashed)), before);
  Journal.open(crashed).close();
});

test('a change whose bytes were damaged is not handed on, and is taken again from whoever has it', (t) => {
  const directory = temporaryDirectory(t);
  const journal = Journal.open(directory);
  t.after(() => journal.close());
  const changes = [1, 2, 3].map((seq) => {
    const ops = [{ key: '7.mode', value: seq, pred: [] }];
    const deps = journal.heads;
    const encoded = encodeChange({ actor: ACTOR, seq, startOp: seq, stamp: seq, deps, ops });
    journal.appendChange(encoded.bytes, encoded.change);
    return encoded;
  });
  journal.db.exec("update change set bytes = substr(bytes, 1, 20) || x'00' || substr(bytes, 22) where seq = 2");
  journal.commit(0);
  const reader = JournalReader.open(directory);
  t.after(() => reader.close());
  assert.equal(reader.changesAfter(new Map(), 1e6).length, 1);
  assert.throws(() => reader.changesAfter(new Map([[ACTOR, 1]]), 1e6), /change 2 of actor/);

  assert.equal(journal.verifyChange(ACTOR, 1), true);
  assert.equal(journal.verifyChange(ACTOR, 2), false);
  journal.commit(0);
  assert.equal(journal.vector().get(ACTOR), 3);
  assert.equal(journal.heldVector().get(ACTOR), 1);
  assert.ok(journal.isReady(changes[2]!.change));

  assert.equal(journal.restoreChange(changes[1]!.bytes, changes[1]!.change), true);
  journal.commit(0);
  assert.equal(journal.heldVector().get(ACTOR), 3);
  assert.deepEqual(
    reader.changesAfter(new Map(), 1e6).map(({ seq }) => seq),
    [1, 2, 3],
  );
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { listConflicts } from './conflicts.js';
import { randomFrom, sha256 } from './convergence.test-support.js';
import { digestOf } from './digest.js';
import { formatBirthPlace, formatBorn, formatHead, formatInto, formatMovedPlace, formatTombstone } from './fields.js';
import { ActorTable } from './ids.js';
import type { Ino } from './ids.js';
import { MemoryTreeStore } from './memory-tree-store.js';
import { compareWithStore, projectAll } from './projection.js';
import { formatKey, validateOp } from './register-schema.js';
import { Replica } from './replica.js';
import type { RegisterWrite } from './replica.js';

// Registers that no volume would write, but that any member could: places in files, directories with several links, merges in
// circles, stamps and overwritten values without sense. They must do no harm: no exception, no endless loop, and both ways of
// projecting them agree. SEED=n replays one round.

const ROUNDS = Number(process.env['FUZZ_ROUNDS'] ?? 100);
const FIRST_SEED = process.env['SEED'] === undefined ? undefined : Number(process.env['SEED']);
const EPOCH = { s: 0, ns: 0 };
const LAST_INO = 8;

function round(seed: number): void {
  const random = randomFrom(seed);
  const store = new MemoryTreeStore();
  const actors = new ActorTable();
  for (const letter of ['b', 'a', 'c']) actors.intern(letter.repeat(32));
  const replica = new Replica(store, actors);
  const written: RegisterWrite[] = [];
  const write = (ino: Ino, field: string, value: string): RegisterWrite => {
    validateOp(formatKey(ino, field), value);
    const before = written.filter((other) => other.ino === ino && other.field === field);
    const pred = before.filter(() => random(3) > 0);
    const stamp = 100 + random(50);
    const made = { ino, field, value, counter: written.length + 1, actor: random(3), stamp, pred };
    written.push(made);
    return made;
  };
  const born = (ino: Ino, type: 'd' | 'f', parent: Ino): RegisterWrite =>
    write(
      ino,
      'born',
      formatBorn({ type, parent, name: ino === 1 ? '' : 'x', btime: EPOCH, mode: 0, uid: 0, gid: 0, rdev: 0 }),
    );
  replica.apply([born(1, 'd', 1)]);
  for (let ino = 2; ino <= LAST_INO; ino++) replica.apply([born(ino, random(3) > 0 ? 'd' : 'f', 1 + random(ino - 1))]);

  const anyIno = (): Ino => 2 + random(LAST_INO - 1);
  const anyParent = (): Ino => 1 + random(LAST_INO);
  const anyName = (): string => ['x', 'y', 'z'][random(3)]!;
  const any = (): RegisterWrite => {
    const link = `link:${random(3)}`;
    switch (random(5)) {
      case 0:
        return write(anyIno(), 'link:0', formatBirthPlace(anyParent(), anyName()));
      case 1: {
        const prev = random(2) === 0 ? { parent: anyParent(), name: anyName() } : undefined;
        return write(anyIno(), link, formatMovedPlace(anyParent(), anyName(), prev));
      }
      case 2:
        return write(anyIno(), link, formatTombstone(anyParent(), anyName(), []));
      case 3:
        return write(anyIno(), 'into', formatInto(anyParent()));
      default: {
        const manifest = ['a', 'b', 'c'][random(3)]!.repeat(64);
        return write(anyIno(), 'head', formatHead({ manifest, size: 1, mtime: EPOCH, copyIno: 100 + written.length }));
      }
    }
  };
  for (let step = 0; step < 25; step++) {
    replica.apply(Array.from({ length: 1 + random(4) }, any));
    assert.deepEqual(compareWithStore(projectAll(store, actors), store), [], `step ${step}`);
    listConflicts(store, actors);
    digestOf(store, sha256);
  }
}

test('registers without sense are projected alike by both ways, and harm nothing', () => {
  const base = Math.floor(Math.random() * 2 ** 31);
  const seeds = FIRST_SEED === undefined ? Array.from({ length: ROUNDS }, (_, i) => (base + i) >>> 0) : [FIRST_SEED];
  for (const seed of seeds) {
    try {
      round(seed);
    } catch (error) {
      throw new Error(`SEED=${seed} replays this: ${(error as Error).message}`, { cause: error });
    }
  }
});

test('a version written to a directory whose deferred move was overwritten in the same batch throws nothing', () => {
  const store = new MemoryTreeStore();
  const actors = new ActorTable();
  for (const letter of ['a', 'b']) actors.intern(letter.repeat(32));
  const replica = new Replica(store, actors);
  let counter = 0;
  const write = (ino: Ino, field: string, value: string, stamp: number, pred: RegisterWrite[] = []): RegisterWrite => {
    validateOp(formatKey(ino, field), value);
    return { ino, field, value, counter: ++counter, actor: 0, stamp, pred };
  };
  const born = (ino: Ino, name: string): RegisterWrite =>
    write(ino, 'born', formatBorn({ type: 'd', parent: 1, name, btime: EPOCH, mode: 0, uid: 0, gid: 0, rdev: 0 }), 1);
  replica.apply([born(1, ''), born(2, 'x'), born(3, 'y')]);
  // 2 in 3, and later 3 in 2 by three writes that know nothing of each other: each of the three is on the cycle.
  replica.apply([write(2, 'link:0', formatMovedPlace(3, 'x', undefined), 10)]);
  const moves = ['p', 'q', 'r'].map((name) => write(3, 'link:0', formatMovedPlace(2, name, undefined), 20));
  replica.apply(moves);
  assert.deepEqual([...store.deferred()], [[3, 3]], 'its place of birth is the fourth');

  const head = formatHead({ manifest: 'a'.repeat(64), size: 1, mtime: EPOCH, copyIno: 100 });
  replica.apply([write(3, 'link:0', formatTombstone(1, 'y', []), 30, moves), write(3, 'head', head, 31)]);
  assert.deepEqual(compareWithStore(projectAll(store, actors), store), []);
});

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
  for (let ino = 2; ino <= LAST_INO; ino++) {
    if (random(8) > 0) replica.apply([born(ino, random(3) > 0 ? 'd' : 'f', 1 + random(ino - 1))]);
  }

  const anyIno = (): Ino => 2 + random(LAST_INO - 1);
  const anyParent = (): Ino => 1 + random(LAST_INO);
  const anyName = (): string => ['x', 'y', 'z'][random(3)]!;
  const any = (): RegisterWrite => {
    const link = `link:${random(3)}`;
    switch (random(6)) {
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
      case 4:
        return born(anyIno(), random(2) > 0 ? 'd' : 'f', anyParent());
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

/** A replica of one member that writes what it likes. */
class OneMember {
  readonly store = new MemoryTreeStore();
  readonly #actors = new ActorTable();
  readonly #replica: Replica;
  #counter = 0;

  constructor() {
    for (const letter of ['a', 'b']) this.#actors.intern(letter.repeat(32));
    this.#replica = new Replica(this.store, this.#actors);
    this.apply(this.born('d', 1, 1, ''));
  }

  write(ino: Ino, field: string, value: string, stamp: number, pred: RegisterWrite[] = []): RegisterWrite {
    validateOp(formatKey(ino, field), value);
    return { ino, field, value, counter: ++this.#counter, actor: 0, stamp, pred };
  }

  born(type: 'd' | 'f', ino: Ino, parent: Ino, name: string, pred: RegisterWrite[] = []): RegisterWrite {
    const value = formatBorn({ type, parent, name, btime: EPOCH, mode: 0, uid: 0, gid: 0, rdev: 0 });
    return this.write(ino, 'born', value, pred.length + 1, pred);
  }

  place(ino: Ino, parent: Ino, name: string, stamp = 10): RegisterWrite {
    return this.write(ino, 'link:0', formatMovedPlace(parent, name, undefined), stamp);
  }

  /** Expects the tree to be what its registers say from nothing. */
  apply(...writes: RegisterWrite[]): void {
    this.#replica.apply(writes);
    assert.deepEqual(compareWithStore(projectAll(this.store, this.#actors), this.store), []);
  }
}

test('what is born once more as something else has the links of that', () => {
  const member = new OneMember();
  const births = [member.born('f', 2, 1, 'x'), member.born('d', 3, 2, 'y'), member.born('d', 4, 1, 'z')];
  member.apply(...births, member.place(2, 1, 'x'), member.place(3, 2, 'y'), member.place(4, 1, 'z'));
  assert.equal(member.store.inode(2)!.nlink, 1, 'a file, whatever is placed in it');

  const again = member.born('d', 2, 1, 'x', [births[0]!]);
  member.apply(again);
  assert.equal(member.store.inode(2)!.nlink, 3, 'a directory with one in it');
  assert.equal(member.store.inode(1)!.nlink, 4);

  member.apply(member.born('f', 2, 1, 'x', [again]));
  assert.equal(member.store.inode(2)!.nlink, 1);
  assert.equal(member.store.inode(1)!.nlink, 3);
});

test('a directory that is born in what was placed in it before is on no cycle', () => {
  const member = new OneMember();
  member.apply(member.born('d', 2, 1, 'x'), member.place(2, 7, 'x'));
  assert.equal(member.store.lookup(7, 'x')?.ino, 2, 'out of sight');
  member.apply(member.born('d', 7, 2, 'y'), member.place(7, 2, 'y', 11));
  assert.equal(member.store.lookup(1, 'x')?.ino, 2, 'back where it was born');
  assert.equal(member.store.lookup(2, 'y')?.ino, 7);
});

test('a version written to a directory whose deferred move was overwritten in the same batch throws nothing', () => {
  const member = new OneMember();
  member.apply(member.born('d', 2, 1, 'x'), member.born('d', 3, 1, 'y'));
  // 2 in 3, and later 3 in 2 by three writes that know nothing of each other: each of the three is on the cycle.
  member.apply(member.place(2, 3, 'x'));
  const moves = ['p', 'q', 'r'].map((name) => member.place(3, 2, name, 20));
  member.apply(...moves);
  assert.deepEqual([...member.store.deferred()], [[3, 3]], 'its place of birth is the fourth');

  const head = formatHead({ manifest: 'a'.repeat(64), size: 1, mtime: EPOCH, copyIno: 100 });
  const tombstone = formatTombstone(1, 'y', []);
  member.apply(member.write(3, 'link:0', tombstone, 30, moves), member.write(3, 'head', head, 31));
});

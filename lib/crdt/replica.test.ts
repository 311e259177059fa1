import assert from 'node:assert/strict';
import { test } from 'node:test';
import { check, converge, partitioned, shuffledFor } from './convergence.test-support.js';
import { ActorTable } from './ids.js';
import { checkInvariants } from './invariants.js';
import { MemoryTreeStore } from './memory-tree-store.js';
import { compareWithStore, projectAll } from './projection.js';
import { Replica } from './replica.js';
import type { RegisterWrite } from './replica.js';
import type { ViewChange } from './view-change.js';
import type { SimulatedSite } from './simulated-site.test-support.js';

function bySubject(changes: readonly ViewChange[]): string[] {
  return changes
    .map((change) =>
      change.kind === 'entry'
        ? `${change.parent}/${change.name}: ${change.was} -> ${change.is}`
        : `${change.ino}${change.content ? ' content' : ''}`,
    )
    .toSorted();
}

function receiveAll(site: SimulatedSite, from: SimulatedSite): string[] {
  site.receive(shuffledFor(site, from.changes, () => 0));
  check(site);
  return bySubject(site.lastView);
}

test('a batch tells each name and each inode that changed once', () => {
  const [oslo, paris] = partitioned((site) => site.mkdir('d'));
  const d = oslo.find('d')!.ino;
  const e = oslo.mkdir('d/e');
  const x = oslo.write('d/x', '1');
  oslo.chmod('d/x', 0o600);
  assert.deepEqual(
    receiveAll(paris, oslo),
    [`${d}`, `${d}/e: undefined -> ${e}`, `${d}/x: undefined -> ${x}`, `${e}`, `${x} content`].toSorted(),
  );
  oslo.chmod('d/x', 0o644);
  assert.deepEqual(receiveAll(paris, oslo), [`${x}`]);
  oslo.write('d/x', '2');
  assert.deepEqual(receiveAll(paris, oslo), [`${x} content`]);
  oslo.rename('d/x', 'y');
  assert.deepEqual(
    receiveAll(paris, oslo),
    ['1', `1/y: undefined -> ${x}`, `${d}`, `${d}/x: ${x} -> undefined`, `${x}`].toSorted(),
  );
});

test('what comes and goes within one batch is not told', () => {
  const [oslo, paris] = partitioned();
  const x = oslo.create('x');
  oslo.unlink('x');
  assert.deepEqual(receiveAll(paris, oslo), ['1', `${x}`].toSorted());
});

test('a name that goes over to another inode is told as one change', () => {
  const [oslo, paris] = partitioned((site) => {
    site.write('new', 'n');
    site.write('x', 'o');
  });
  const [fresh, old] = [oslo.find('new')!.ino, oslo.find('x')!.ino];
  oslo.rename('new', 'x');
  const told = receiveAll(paris, oslo);
  assert.ok(told.includes(`1/x: ${old} -> ${fresh}`));
  assert.ok(told.includes(`1/new: ${fresh} -> undefined`));
});

test('a conflict is told: the winner, the copy, and the name of the copy', () => {
  const [oslo, paris] = partitioned((site) => site.write('x', 'base'));
  const x = oslo.find('x')!.ino;
  oslo.write('x', 'mine');
  paris.nowUs += 10;
  paris.write('x', 'theirs');
  const told = receiveAll(oslo, paris);
  const copy = oslo.find(oslo.list('').find((name) => name.includes('.~'))!)!;
  assert.deepEqual(
    told,
    [`1/${copy.name}: undefined -> ${copy.ino}`, `${copy.ino} content`, `${x} content`].toSorted(),
  );
  paris.receive(oslo.changes);
  paris.chmod('x', 0o600);
  assert.deepEqual(receiveAll(oslo, paris), [`${copy.ino}`, `${x}`].toSorted());
});

test('a write that the register has already changes nothing and tells nothing', () => {
  const [oslo, paris] = partitioned((site) => site.write('x', 'base'));
  for (const change of oslo.changes) {
    paris.receiveAgain(change);
    assert.deepEqual(paris.lastView, []);
    check(paris);
  }
});

test('what one batch places in a directory that another merge takes over ends up where the merge leads', () => {
  const [oslo, paris, rome] = partitioned((site) => site.write('y', 'moving'), 3);
  oslo.mkdir('d');
  rome.mkdir('d');
  converge(oslo, rome);
  paris.mkdir('d');
  rome.rename('y', 'd/y');
  oslo.rename('d', 'e');
  converge(oslo, paris, rome);
});

const ACTOR = 0;

type Register = readonly [ino: number, field: string, value: string | number];

function writesOf(registers: readonly Register[]): RegisterWrite[] {
  return registers.map(([ino, field, value], i) => ({
    ino,
    field,
    value,
    counter: i + 1,
    actor: ACTOR,
    stamp: 1000 + i,
    pred: [],
  }));
}

function apply(...registers: readonly Register[]): MemoryTreeStore {
  const store = new MemoryTreeStore();
  const actors = new ActorTable();
  actors.intern('a'.repeat(32));
  new Replica(store, actors).apply(writesOf([[1, 'born', 'd 1/ 0.000000000 0 0 0 0'], ...registers]));
  assert.deepEqual(compareWithStore(projectAll(store, actors), store), []);
  return store;
}

test('directories said to be born inside each other are put under the root, not looped over', () => {
  const store = apply(
    [5, 'born', 'd 6/a 0.000000000 0 0 0 0'],
    [5, 'link:0', '6/a'],
    [6, 'born', 'd 5/b 0.000000000 0 0 0 0'],
    [6, 'link:0', '5/b'],
    [7, 'born', 'd 7/c 0.000000000 0 0 0 0'],
    [7, 'link:0', '7/c'],
  );
  assert.equal(store.lookup(1, 'c')?.ino, 7);
  assert.equal(store.list(1, 0, 10).length, 2);
});

test('directories merged into each other, into themselves or into nothing do no harm', () => {
  const store = apply(
    [5, 'born', 'd 1/a 0.000000000 0 0 0 0'],
    [5, 'link:0', '1/a'],
    [6, 'born', 'd 1/b 0.000000000 0 0 0 0'],
    [6, 'link:0', '1/b'],
    [5, 'into', '6'],
    [6, 'into', '5'],
    [7, 'born', 'd 1/c 0.000000000 0 0 0 0'],
    [7, 'link:0', '1/c'],
    [7, 'into', '7'],
  );
  assert.equal(store.lookup(1, 'c')?.ino, 7);
});

test('a deferred directory whose places give way to fewer is placed among those', () => {
  const store = new MemoryTreeStore();
  const actors = new ActorTable();
  actors.intern('a'.repeat(32));
  const replica = new Replica(store, actors);
  const move = (ino: number, counter: number, place: string, pred: readonly number[]): RegisterWrite[] => [
    {
      ino,
      field: 'link:0',
      value: place,
      counter,
      actor: ACTOR,
      stamp: 1000 + counter,
      pred: pred.map((op) => ({ counter: op, actor: ACTOR })),
    },
  ];
  replica.apply(
    writesOf([
      [1, 'born', 'd 1/ 0.000000000 0 0 0 0'],
      [5, 'born', 'd 1/a 0.000000000 0 0 0 0'],
      [5, 'link:0', '1/a'],
      [6, 'born', 'd 1/b 0.000000000 0 0 0 0'],
      [6, 'link:0', '1/b'],
    ]),
  );
  replica.apply(move(6, 10, '5/b\u00001/b', [5]));
  for (const [i, name] of ['x', 'y', 'z'].entries()) replica.apply(move(5, 11 + i, `6/${name}\u00001/a`, [3]));
  assert.deepEqual([...store.deferred()], [[5, 3]]);
  replica.apply(move(5, 20, '-1/a\0', [11, 12, 13]));
  assert.deepEqual(compareWithStore(projectAll(store, actors), store), []);
});

test('an inode that was never born is in no tree, whatever else is said of it', () => {
  const store = apply([5, 'link:0', '1/a'], [5, 'mode', 0o644], [5, 'head', `${'0'.repeat(64)} 0 0.000000000 9`]);
  assert.equal(store.lookup(1, 'a'), undefined);
});

test('a birth that comes after the link is as good as one that comes before', () => {
  const store = apply([5, 'link:0', '1/a'], [5, 'mode', 0o644], [5, 'born', 'f 1/a 0.000000000 0 0 0 0']);
  assert.equal(store.lookup(1, 'a')?.ino, 5);
  assert.equal(store.inode(5)?.nlink, 1);
});

test('the checks say what is wrong with a tree that was tampered with', () => {
  const [oslo] = partitioned((site) => {
    site.mkdir('d');
    site.write('d/x', '1');
    site.mkdir('e');
  });
  const d = oslo.find('d')!;
  oslo.store.inode(d.ino)!.nlink = 9;
  oslo.store.setDirent({ ...d, name: 'second' });
  oslo.store.deleteDirent(d.ino, 'x');
  const wrong = checkInvariants(oslo.store, oslo.actors).join('\n');
  assert.match(wrong, /second parent/);
  assert.match(wrong, /nlink 9, should be 2/);
  assert.match(wrong, /cannot be reached/);
  const differences = compareWithStore(projectAll(oslo.store, oslo.actors), oslo.store).join('\n');
  assert.match(differences, /entry 1\/second/);
  assert.match(differences, /nlink of inode/);
});

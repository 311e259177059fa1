import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  assertSettled,
  attributesSetAtBoth,
  conflictsOf,
  movedIntoEachOther,
  only,
  resolve,
  tree,
  writtenAtBoth,
} from './settlement-fixture.test-support.js';
import { USER } from './volume-fixture.test-support.js';

test('undo is refused, with nothing changed, when the file was written since', async () => {
  const [one] = await writtenAtBoth();
  const { undo } = resolve(one, only(one, 'copy'), 'hidden');
  one.write('/plan', 'newer');
  await one.publish();
  const before = tree(one);
  assert.throws(() => one.volume.reversible.undo(undo), /written since/);
  assert.deepEqual(tree(one), before);
});

test('undo is refused when something else has the name', async () => {
  const [one] = await writtenAtBoth();
  const conflict = only(one, 'copy');
  const { undo } = resolve(one, conflict, 'shown');
  one.write(`/${conflict.path.join('/')}`, 'in the way');
  assert.throws(() => one.volume.reversible.undo(undo), /there is another .*rename it/);
});

test('undo works after a restart, after a crash, and from what was written to a file', async () => {
  const [one, other] = await writtenAtBoth();
  const before = tree(one);
  const { undo } = resolve(one, only(one, 'copy'), 'hidden');
  const kept = JSON.parse(JSON.stringify(undo)) as typeof undo;
  one.reopen();
  one.crash();
  one.volume.reversible.undo(kept);
  assert.deepEqual(tree(one), before);
  one.crash();
  await assertSettled(one, other);
  assert.deepEqual(tree(other), before);
});

test('undo twice is refused the second time, with nothing changed', async () => {
  const [one] = await writtenAtBoth();
  const { undo } = resolve(one, only(one, 'copy'), 'hidden');
  one.volume.reversible.undo(undo);
  const before = tree(one);
  assert.throws(() => one.volume.reversible.undo(undo), /nothing was undone|undo again/);
  assert.deepEqual(tree(one), before);
});

test('undo of permissions, owners and attributes is refused once somebody set them again', async () => {
  const [one, other] = await attributesSetAtBoth('gid');
  const undo = conflictsOf(one).map((conflict) => resolve(one, conflict, 'hidden').undo);
  assert.equal(undo.length, 3);
  await one.mergeWith(other);
  const ino = other.resolve('/x');
  other.volume.files.setattr(ino, { gid: 99 }, USER, undefined);
  other.volume.files.setattr(ino, { mode: 0o600 }, USER, undefined);
  other.volume.files.setxattr(ino, 'user.a', Buffer.from('newer'), 0, false);
  await one.mergeWith(other);
  for (const steps of undo) assert.throws(() => one.volume.reversible.undo(steps), /attribute was set since/);
  const { gid, mode } = one.volume.files.getattr(ino);
  assert.deepEqual([gid, mode & 0o7777], [99, 0o600]);
});

test('what was kept as it was shown is not written again by undo', async () => {
  const [one, other] = await attributesSetAtBoth('gid');
  const shown = tree(one);
  const undo = conflictsOf(one).map((conflict) => resolve(one, conflict, 'shown').undo);
  assert.deepEqual(undo, [[], [], []]);
  await assertSettled(one, other);
  assert.deepEqual(tree(other), shown);
});

test('an undo of several steps of which one fails changes nothing', async () => {
  const [one] = await writtenAtBoth();
  one.write('/moved', 'here');
  const ino = one.resolve('/moved');
  const before = tree(one);
  const rename = { undo: 'rename', ino, from: { parent: 1, name: 'moved' }, to: { parent: 1, name: 'away' } } as const;
  const refused = { undo: 'attribute', ino, name: 'of.no.namespace', settled: null, value: 'x' } as const;
  assert.throws(() => one.volume.reversible.undo([rename, refused]));
  assert.deepEqual(tree(one), before);
});

test('a settlement of several steps that cannot be completed changes nothing', async () => {
  const [one, other] = await movedIntoEachOther();
  const conflict = only(one, 'move-deferred');
  // Where the directory in the way came from there is something else now: the move cannot be made without moving it.
  one.write('/x', 'in the way');
  const before = tree(one);
  assert.throws(() => resolve(one, conflict, 'hidden'), /another .*rename it/);
  assert.deepEqual(tree(one), before);
  await one.mergeWith(other);
  assert.equal(one.digest, other.digest);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { choicesOf } from './settlement.js';
import {
  assertSettled,
  attributesSetAtBoth,
  conflictsOf,
  merged,
  movedIntoEachOther,
  only,
  resolve,
  tree,
  writtenAtBoth,
} from './settlement-fixture.test-support.js';
import type { VolumeFixture } from './volume-fixture.test-support.js';

for (const [keep, expected, text] of [
  ['shown', 'of other, later', undefined],
  ['hidden', 'of one', undefined],
  ['merge', 'of both', 'of both'],
] as const) {
  test(`two versions of a file: keep ${keep}, and undo`, async () => {
    const [one, other] = await writtenAtBoth();
    const before = tree(one);
    const ino = one.resolve('/plan');
    one.volume.files.link(ino, 1, 'second name');
    const { undo } = resolve(one, only(one, 'copy'), keep, text);
    assert.deepEqual(tree(one), { '/plan': expected, '/second name': expected });
    assert.equal(one.resolve('/plan'), ino);
    await assertSettled(one, other);
    one.unlink('/second name');
    one.volume.reversible.undo(undo);
    assert.deepEqual(tree(one), before);
    await assertSettled(one, other);
    assert.deepEqual(tree(other), before);
  });
}

test('two versions of a file: keep both, by the name of no site', async () => {
  const [one, other] = await writtenAtBoth();
  const before = tree(one);
  const conflict = only(one, 'copy');
  assert.throws(() => resolve(one, conflict, 'rome'), /choose one of .*both, merge/);
  assert.throws(() => resolve(one, conflict, 'merge'), /--from FILE/);
  assert.deepEqual(resolve(one, conflict, 'both').undo, []);
  assert.deepEqual(tree(one), before);
  await assertSettled(one, other);
  assert.throws(() => resolve(one, conflict, 'both'), /settled already/);
});

test('the kernel hears of everything that a settlement changes', async () => {
  const [one] = await writtenAtBoth();
  const conflict = only(one, 'copy');
  one.notices.length = 0;
  resolve(one, conflict, 'hidden');
  const copy = conflict.path.join('/');
  assert.ok(
    one.notices.some((notice) => notice.endsWith(` 1/${copy}`)),
    one.notices.join(),
  );
  assert.ok(one.notices.includes(`inode ${one.resolve('/plan')} content`), one.notices.join());
});

for (const [keep, expected] of [
  ['shown', 'later'],
  ['hidden', 'earlier'],
  ['merge', 'joined'],
] as const) {
  test(`two new files of one name: keep ${keep}, and undo`, async () => {
    const [one, other] = await merged(
      () => {},
      (a, b) => {
        a.write('/new', 'earlier');
        b.write('/new', 'later');
      },
    );
    const before = tree(one);
    const inodes = Object.keys(before).map((path) => one.resolve(path));
    const { undo } = resolve(other, only(other, 'name'), keep, keep === 'merge' ? expected : undefined);
    assert.deepEqual(tree(other), { '/new': expected });
    await assertSettled(one, other);
    other.volume.reversible.undo(undo);
    await assertSettled(one, other);
    assert.deepEqual(tree(one), before);
    assert.deepEqual(
      Object.keys(before).map((path) => one.resolve(path)),
      inodes,
    );
  });
}

test('two new files of one name: keep both', async () => {
  const [one, other] = await merged(
    () => {},
    (a, b) => {
      a.write('/new', 'earlier');
      b.write('/new', 'later');
    },
  );
  const before = tree(one);
  resolve(one, only(one, 'name'), 'both');
  await assertSettled(one, other);
  assert.deepEqual(tree(other), before);
});

test('a file and a directory of one name: the file instead of an empty directory, and never of a full one', async () => {
  const [one, other] = await merged(
    () => {},
    (a, b) => {
      a.mkdir('/new');
      a.write('/new/inside', 'of one');
      b.write('/new', 'a file');
    },
  );
  const before = tree(one);
  const conflict = only(one, 'name');
  assert.equal(choicesOf(conflict).includes('merge'), false);
  assert.throws(() => resolve(one, conflict, 'hidden'), /not empty/);
  assert.deepEqual(tree(one), before);
  one.unlink('/new/inside');
  const { undo } = resolve(one, conflict, 'hidden');
  assert.deepEqual(tree(one), { '/new': 'a file' });
  await assertSettled(one, other);
  one.volume.reversible.undo(undo);
  await assertSettled(one, other);
  assert.equal(tree(other)['/new'], 'directory');
});

test('written here, removed there: kept for good, or removed and back', async () => {
  const revived = (): Promise<[VolumeFixture, VolumeFixture]> =>
    merged(
      (site) => void site.write('/plan', 'base'),
      (a, b) => {
        a.write('/plan', 'edited');
        b.unlink('/plan');
      },
    );
  const [one, other] = await revived();
  resolve(one, only(one, 'revived'), 'shown');
  await assertSettled(one, other);
  assert.deepEqual(tree(other), { '/plan': 'edited' });

  const [here, there] = await revived();
  const { undo } = resolve(here, only(here, 'revived'), 'hidden');
  await assertSettled(here, there);
  assert.deepEqual(tree(there), {});
  here.volume.reversible.undo(undo);
  await assertSettled(here, there);
  assert.deepEqual(tree(there), { '/plan': 'edited' });
});

test('a directory that came back with a file stays when it is kept', async () => {
  const [one, other] = await merged(
    (site) => void site.mkdir('/d'),
    (a, b) => {
      a.write('/d/added', 'new');
      b.rmdir('/d');
    },
  );
  const conflict = only(one, 'revived');
  assert.throws(() => resolve(one, conflict, 'hidden'), /not empty/);
  resolve(one, conflict, 'shown');
  await assertSettled(one, other);
  assert.deepEqual(tree(other), { '/d': 'directory', '/d/added': 'new' });
});

test('moved here, removed there', async () => {
  const [one, other] = await merged(
    (site) => void site.write('/x', 'base'),
    (a, b) => {
      a.rename('/x', '/y');
      b.unlink('/x');
    },
  );
  const conflict = only(one, 'removed-elsewhere');
  const { undo } = resolve(one, conflict, 'hidden');
  assert.deepEqual(tree(one), {});
  one.volume.reversible.undo(undo);
  await assertSettled(one, other);
  assert.deepEqual(tree(other), { '/y': 'base' });
});

test('moved to two places: the other place, and back; or this one for good', async () => {
  const moved = (): Promise<[VolumeFixture, VolumeFixture]> =>
    merged(
      (site) => {
        site.mkdir('/d');
        site.write('/d/x', 'base');
      },
      (a, b) => {
        a.rename('/d', '/of-one');
        b.rename('/d', '/of-other');
      },
    );
  const [one, other] = await moved();
  const before = tree(one);
  assert.equal(before['/of-other/x'], 'base');
  const { undo } = resolve(one, only(one, 'moved-elsewhere'), 'hidden');
  assert.equal(tree(one)['/of-one/x'], 'base');
  await assertSettled(one, other);
  one.volume.reversible.undo(undo);
  await assertSettled(one, other);
  assert.deepEqual(tree(other), before);

  const [here, there] = await moved();
  resolve(there, only(there, 'moved-elsewhere'), 'shown');
  await assertSettled(here, there);
  assert.deepEqual(tree(here), before);
});

test('a move that would form a cycle: given up, or made, and undone', async () => {
  const [one, other] = await movedIntoEachOther();
  const before = tree(one);
  assert.equal(before['/y/z/in-x'], 'x');
  resolve(one, only(one, 'move-deferred'), 'shown');
  await assertSettled(one, other);
  assert.deepEqual(tree(other), before);

  const [here, there] = await movedIntoEachOther();
  const { undo } = resolve(here, only(here, 'move-deferred'), 'hidden');
  await assertSettled(here, there);
  assert.equal(tree(there)['/x/w/in-y'], 'y');
  here.volume.reversible.undo(undo);
  await assertSettled(here, there);
  assert.deepEqual(tree(there), before);
});

test('permissions, owner and attributes set at both: each side, what is shown, and back', async () => {
  const [one, other] = await attributesSetAtBoth('uid');
  const mode = (): string => (one.volume.files.getattr(one.resolve('/x')).mode & 0o7777).toString(8);
  assert.equal(mode(), '665');
  const [chmod, chown, xattr, ...more] = conflictsOf(one);
  assert.deepEqual([chmod?.kind, chown?.kind, xattr?.kind, more.length], ['mode', 'owner', 'attribute', 0]);
  const settled = resolve(one, chmod!, 'hidden');
  assert.equal(mode(), '664');
  one.volume.reversible.undo(settled.undo);
  assert.equal(mode(), '665');
  assert.equal(resolve(one, chown!, 'hidden').done, '/x: owner is 10');
  assert.equal(one.volume.files.getattr(one.resolve('/x')).uid, 10);
  resolve(one, xattr!, 'hidden');
  assert.equal(one.volume.files.getxattr(one.resolve('/x'), 'user.a').toString(), 'of 0');
  await assertSettled(one, other);
});

// change-times.test.ts — st_ctime is when the inode changed, not when that was committed, and never goes back.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compareTimes } from '../crdt/fields.js';
import { USER, VolumeFixture } from './volume-fixture.test-support.js';

test('tar: file changed as we read it: ctime moves once, not again when what changed is committed or published', async (t) => {
  const fixture = VolumeFixture.create();
  t.after(() => fixture.remove());
  const { volume } = fixture;
  const directory = fixture.mkdir('directory');
  const small = fixture.write('directory/small', 'a few bytes');
  const large = fixture.write('directory/large', Buffer.alloc(3_000_000, 'large'));
  volume.files.link(small, directory, 'link');
  volume.files.rename(directory, 'large', directory, 'renamed', 0, USER);
  const seen = [directory, small, large].map((ino) => volume.files.getattr(ino));
  await fixture.publish();
  volume.fold();
  const committed = [directory, small, large].map((ino) => volume.files.getattr(ino));
  assert.deepEqual(
    committed.map(({ ctime, mtime }) => ({ ctime, mtime })),
    seen.map(({ ctime, mtime }) => ({ ctime, mtime })),
  );
});

test('backup by ctime misses a file: a local change sets ctime below that of a change from a site whose clock is ahead', async (t) => {
  const here = VolumeFixture.create();
  t.after(() => here.remove());
  const small = here.write('small', 'a few bytes');
  const large = here.write('large', Buffer.alloc(300_000, 'large'));
  const directory = here.mkdir('directory');
  const ahead = await here.join();
  t.after(() => ahead.remove());
  for (const ino of [small, large, directory]) ahead.volume.files.setattr(ino, { mode: 0o700 }, USER, undefined);
  await ahead.publish();
  await ahead.sendTo(here);
  const ctime = (ino: number) => here.volume.files.getattr(ino).ctime;
  const changes: readonly (readonly [number, () => unknown])[] = [
    [small, () => here.volume.files.setattr(small, { mode: 0o600 }, USER, undefined)],
    [small, () => here.volume.files.setattr(small, { mtime: { s: 1, ns: 0 } }, USER, undefined)],
    [small, () => here.volume.files.setxattr(small, 'user.a', Buffer.from('1'), 0, false)],
    [small, () => here.volume.files.link(small, directory, 'link')],
    [small, () => here.volume.files.unlink(directory, 'link')],
    [small, () => here.write('small', 'other bytes')],
    [large, () => here.volume.files.setattr(large, { size: 200_000 }, USER, undefined)],
    [large, () => here.rename('large', 'directory/large')],
    [directory, () => here.volume.files.unlink(directory, 'large')],
  ];
  for (const [ino, change] of changes) {
    const before = ctime(ino);
    change();
    assert.ok(compareTimes(ctime(ino), before) > 0, `${change.toString()}: from ${before.s} to ${ctime(ino).s}`);
  }
  const before = [small, directory].map(ctime);
  await here.publish();
  here.volume.fold();
  here.crash();
  assert.deepEqual([small, directory].map(ctime), before);
});

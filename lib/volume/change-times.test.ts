// change-times.test.ts — st_ctime is when the inode changed, and not when that was committed.

import assert from 'node:assert/strict';
import { test } from 'node:test';
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

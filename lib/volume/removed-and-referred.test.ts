// What was written to a file that has no name any more, while the kernel refers to it: by a descriptor of O_PATH, or for an open that found
// the name before it went.

import assert from 'node:assert/strict';
import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { ROOT_INO } from '../crdt/ids.js';
import { USER, VolumeFixture } from './volume-fixture.test-support.js';

const O_RDONLY = 0;
const O_RDWR = 2;
const SMALL = 20_000;
const LARGE = 300_000;

function site(t: TestContext): VolumeFixture {
  const fixture = VolumeFixture.create();
  t.after(() => fixture.remove());
  fixture.volume.files.awaitForget();
  return fixture;
}

function contentOf({ volume: { files } }: VolumeFixture, ino: number, length: number): Buffer {
  const { handle } = files.open(ino, O_RDONLY, false, USER);
  const into = Buffer.alloc(length + 1);
  const n = files.read(handle, 0, into.length, into, 0);
  files.release(handle);
  return into.subarray(0, n);
}

/** The local files that are left once the commits up to now are on stable storage. */
function localFiles({ volume, directory }: VolumeFixture): string[] {
  for (const path of volume.folding.durable(volume.folding.commit())) rmSync(path);
  return readdirSync(join(directory, 'work'));
}

for (const length of [SMALL, LARGE]) {
  test(`${length} bytes of a removed file can be read until the kernel forgets it, and take no space then`, async (t) => {
    const a = site(t);
    const bytes = Buffer.alloc(length, 7);
    const ino = a.write('file', bytes);
    a.unlink('file');
    for (let fold = 0; fold < 3; fold++) {
      await a.publish();
      assert.deepEqual(contentOf(a, ino, length), bytes, `after ${fold + 1} folds`);
    }
    assert.equal(a.volume.files.getattr(ino).size, length);
    a.volume.files.forget(ino);
    await a.publish();
    assert.deepEqual(localFiles(a), []);
    assert.throws(() => a.volume.files.open(ino, O_RDONLY, false, USER), { code: 'ESTALE' });
    assert.deepEqual(a.list(''), []);
  });

  test(`${length} bytes of a file without a name that was closed are there when it is given one`, async (t) => {
    const a = site(t);
    const { attributes, opened } = a.volume.files.tmpfile(ROOT_INO, 0o644, O_RDWR, 0o022, USER);
    const bytes = Buffer.alloc(length, 9);
    a.volume.files.write(opened.handle, 0, bytes, false);
    a.volume.files.release(opened.handle);
    await a.publish();
    a.volume.files.link(attributes.ino, ROOT_INO, 'named');
    await a.publish();
    a.reopen();
    assert.deepEqual(a.read('named'), bytes);
  });
}

test('a file that the kernel forgot while it had a name is kept when it is removed later, until it is forgotten again', async (t) => {
  const a = site(t);
  const ino = a.write('file', 'content');
  a.volume.files.forget(ino);
  a.unlink('file');
  await a.publish();
  assert.equal(contentOf(a, ino, 20).toString(), 'content');
  a.volume.files.forget(ino);
  await a.publish();
  assert.throws(() => contentOf(a, ino, 20), { code: 'ESTALE' });
});

test('what nobody can refer to any more after a restart takes no space', async (t) => {
  const a = site(t);
  a.write('file', Buffer.alloc(LARGE, 7));
  a.unlink('file');
  await a.publish();
  assert.equal(localFiles(a).length, 1);
  a.reopen();
  a.volume.files.awaitForget();
  await a.publish();
  assert.deepEqual(localFiles(a), []);
});

// access-times.test.ts — atime under relatime: when reading moves it, and that it outlives an unmount.

import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { test, type TestContext } from 'node:test';
import { USER, VolumeFixture } from './volume-fixture.test-support.js';

function site(t: TestContext): VolumeFixture {
  const fixture = VolumeFixture.create();
  t.after(() => fixture.remove());
  return fixture;
}

test('the first reading after a change moves atime, further ones do not', async (t) => {
  const a = site(t);
  const ino = a.write('file', 'content');
  const born = a.volume.files.getattr(ino).atime;
  await sleep(2);
  a.volume.files.accessed(ino, false);
  const first = a.volume.files.getattr(ino);
  assert.notDeepEqual(first.atime, born);
  a.volume.files.accessed(ino, false);
  assert.deepEqual(a.volume.files.getattr(ino), first);
  a.volume.files.setattr(ino, { mode: 0o600 }, USER, undefined);
  await sleep(2);
  a.volume.files.accessed(ino, false);
  assert.notDeepEqual(a.volume.files.getattr(ino).atime, first.atime);
});

test('with strictatime every reading moves it, an explicit time replaces it, and more than a day is always due', async (t) => {
  const a = site(t);
  const ino = a.write('file', 'content');
  a.volume.files.accessed(ino, true);
  const first = a.volume.files.getattr(ino).atime;
  await sleep(2);
  a.volume.files.accessed(ino, true);
  assert.notDeepEqual(a.volume.files.getattr(ino).atime, first);
  a.volume.files.setattr(ino, { atime: { s: 5, ns: 6 } }, USER, undefined);
  assert.deepEqual(a.volume.files.getattr(ino).atime, { s: 5, ns: 6 });
  a.volume.files.accessed(ino, false);
  assert.ok(a.volume.files.getattr(ino).atime.s > 1_000_000_000);
});

test('what reading did to atime is there after the volume was closed and opened again', async (t) => {
  const a = site(t);
  const ino = a.write('file', 'content');
  await a.publish();
  await sleep(2);
  a.volume.files.accessed(ino, false);
  const { atime } = a.volume.files.getattr(ino);
  a.reopen();
  assert.deepEqual(a.volume.files.getattr(ino).atime, atime);
});

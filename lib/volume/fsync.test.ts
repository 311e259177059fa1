import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { WorkingCopy } from '../chunks/working-copy.js';
import { ROOT_INO } from '../crdt/ids.js';
import { USER, VolumeFixture } from './volume-fixture.test-support.js';

const O_RDWR = 2;

/** A site with a large file that is open and was synced. */
function openedLarge(t: TestContext): { site: VolumeFixture; handle: number; expected: Buffer } {
  const site = VolumeFixture.create();
  t.after(() => site.remove());
  const { opened } = site.volume.files.create(ROOT_INO, 'large', 0o644, O_RDWR, 0o022, USER);
  const expected = Buffer.alloc(300_000, 1);
  site.volume.files.write(opened.handle, 0, expected, false);
  site.volume.files.fsync(opened.handle);
  return { site, handle: opened.handle, expected };
}

function workingCopy(site: VolumeFixture): string {
  const directory = join(site.directory, 'work');
  return join(directory, readdirSync(directory)[0]!);
}

test('what fsync covered of a large file survives power loss, though only the log went to the disk', (t) => {
  const { site, handle, expected } = openedLarge(t);
  const onDisk = readFileSync(workingCopy(site));
  const tail = Buffer.alloc(5000, 3);
  site.volume.files.write(handle, 1000, Buffer.from('in the middle'), false);
  site.volume.files.write(handle, expected.length, tail, false);
  site.volume.files.fsync(handle);
  // The local file as the disk has it: nothing of it was synced since.
  writeFileSync(workingCopy(site), onDisk);
  site.crash();
  expected.write('in the middle', 1000);
  assert.deepEqual(site.read('large'), Buffer.concat([expected, tail]));
});

test('what was written after an fsync is not undone by recovery writing older bytes again', (t) => {
  const { site, handle, expected } = openedLarge(t);
  site.volume.files.write(handle, 1000, Buffer.from('old'), false);
  site.volume.files.fsync(handle);
  const newer = Buffer.alloc(100_000, 4); // too long to be logged
  site.volume.files.write(handle, 0, newer, false);
  site.crash();
  newer.copy(expected);
  assert.deepEqual(site.read('large'), expected);
});

test('bytes that only the log had are on the disk before something else changes the file', (t) => {
  const { site, handle, expected } = openedLarge(t);
  site.volume.files.write(handle, 1000, Buffer.from('kept'), false);
  site.volume.files.setattr(site.resolve('large'), { size: 2000 }, USER, handle);
  site.volume.files.write(handle, 10, Buffer.from('also'), false);
  site.volume.files.fsync(handle);
  site.crash();
  expected.write('kept', 1000);
  expected.write('also', 10);
  assert.deepEqual(site.read('large'), expected.subarray(0, 2000));
});

test('a log that grew too long gives up bytes only once the working copy is on the disk', (t) => {
  const { site, handle, expected } = openedLarge(t);
  const block = Buffer.alloc(60_000, 5);
  for (let i = 0; i < 1200; i++) site.volume.files.write(handle, (i % 4) * block.length, block, false);
  site.volume.fold();
  site.volume.folding.durable(site.volume.folding.lastCommit);
  site.volume.files.write(handle, 7, Buffer.from('last'), false);
  site.crash();
  for (let i = 0; i < 4; i++) block.copy(expected, i * block.length);
  expected.write('last', 7);
  assert.deepEqual(site.read('large'), expected);
});

test('a small file that was synced is on the disk before it moves out of the log', (t) => {
  const site = VolumeFixture.create();
  t.after(() => site.remove());
  const sync = t.mock.method(WorkingCopy.prototype, 'sync');
  const grow = (name: string, synced: boolean): number => {
    const { opened } = site.volume.files.create(ROOT_INO, name, 0o644, O_RDWR, 0o022, USER);
    site.volume.files.write(opened.handle, 0, Buffer.from('small'), false);
    if (synced) site.volume.files.fsync(opened.handle);
    const before = sync.mock.callCount();
    site.volume.files.write(opened.handle, 5, Buffer.alloc(100_000), false);
    return sync.mock.callCount() - before;
  };
  assert.equal(grow('synced', true), 1);
  assert.equal(grow('not', false), 0);
});

test('power loss that undoes the version which a file was written on does not keep the site from starting', async (t) => {
  const { site, handle, expected } = openedLarge(t);
  site.volume.files.release(handle);
  site.volume.fold();
  const log = readFileSync(join(site.directory, 'state.db-wal'));
  await site.publish();
  const again = site.volume.files.open(site.resolve('large'), O_RDWR, false, USER);
  site.volume.files.write(again.handle, 0, Buffer.from('newer'), false);
  site.crash(0, (copy) => writeFileSync(join(copy, 'state.db-wal'), log));
  assert.deepEqual(site.read('large'), expected);
});

test('what fsync covered is on a version that survives power loss', async (t) => {
  const { site, handle } = openedLarge(t);
  site.volume.files.release(handle);
  await site.publish();
  const sync = t.mock.method(site.volume.journal, 'sync');
  const again = site.volume.files.open(site.resolve('large'), O_RDWR, false, USER);
  site.volume.files.write(again.handle, 0, Buffer.from('newer'), false);
  site.volume.files.fsync(again.handle);
  assert.equal(sync.mock.callCount(), 1);
  site.volume.files.write(again.handle, 0, Buffer.from('newest'), false);
  site.volume.files.fsync(again.handle);
  assert.equal(sync.mock.callCount(), 1);
});

import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import { listConflicts } from '../crdt/conflicts.js';
import { JournalReader } from '../journal/journal-reader.js';
import { USER, VolumeFixture } from './volume-fixture.test-support.js';

const O_RDWR = 2;
const cleanups: VolumeFixture[] = [];

afterEach(() => {
  for (const fixture of cleanups.splice(0)) fixture.remove();
});

async function twoSites(): Promise<[VolumeFixture, VolumeFixture]> {
  const oslo = VolumeFixture.create();
  cleanups.push(oslo);
  const paris = await oslo.join();
  cleanups.push(paris);
  return [oslo, paris];
}

test('sites do not diverge when changes arrive while an own operation waits for its fold', async () => {
  const [oslo, paris] = await twoSites();
  paris.mkdir('p');
  paris.volume.fold();
  const reader = JournalReader.open(paris.directory);
  const changes = reader.changesAfter(oslo.volume.journal.vector(), 2 ** 30).map(({ bytes }) => bytes);
  reader.close();
  oslo.volume.deliver(changes, (error) => assert.ifError(error));
  // A call of the very moment: its fold is not due when the changes are looked at.
  let called = false;
  oslo.volume.background(() => {
    if (!called) oslo.mkdir('q');
    called = true;
    return false;
  });
  await oslo.mergeWith(paris);
  paris.rename('q', 'r');
  await oslo.mergeWith(paris);
  for (const { volume } of [oslo, paris]) {
    assert.deepEqual(listConflicts(volume.journal.store, volume.journal.actors), []);
  }
  assert.equal(oslo.digest, paris.digest);
});

test('what is written to a new file is not lost while an empty one of the same name hides it', async () => {
  const [oslo, paris] = await twoSites();
  const { attributes, opened } = oslo.volume.create(1, 'x', 0o644, O_RDWR, 0o022, USER);
  oslo.volume.fold();
  paris.volume.release(paris.volume.create(1, 'x', 0o644, O_RDWR, 0o022, USER).opened.handle);
  await paris.sendTo(oslo);
  assert.equal(oslo.volume.getattr(attributes.ino).nlink, 0, 'it is hidden');
  oslo.volume.write(opened.handle, 0, Buffer.from('acknowledged'), false);
  oslo.volume.release(opened.handle);
  await oslo.mergeWith(paris);
  const texts = paris.list('').map((name) => paris.text(name));
  assert.deepEqual(texts.toSorted(), ['', 'acknowledged']);
});

test('what is written to an open file is not lost when its names are removed one here and one there', async () => {
  const [oslo, paris] = await twoSites();
  const ino = oslo.write('x', 'base');
  oslo.volume.link(ino, 1, 'y');
  await oslo.mergeWith(paris);
  const { handle } = oslo.volume.open(ino, O_RDWR, false, USER);
  oslo.unlink('y');
  await oslo.sendTo(paris);
  paris.unlink('x');
  await paris.sendTo(oslo);
  oslo.volume.write(handle, 0, Buffer.from('acknowledged'), false);
  oslo.volume.release(handle);
  await oslo.mergeWith(paris);
  const texts = paris.list('').map((name) => paris.text(name));
  assert.deepEqual(texts, ['acknowledged']);
});

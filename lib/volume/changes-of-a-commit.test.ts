import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ROOT_INO } from '../crdt/ids.js';
import { decodeChange } from '../journal/change-codec.js';
import { JournalReader } from '../journal/journal-reader.js';
import { WRITES_OF_CHANGE } from './commits.js';
import { USER, VolumeFixture } from './volume-fixture.test-support.js';

const FILES = 300;
/** What a new file is born as, its version, and the times of its directory. */
const WRITES_OF_OPERATION = 3;

/** The writes of each change that is here and was not there before, by key. */
function changesSince(site: VolumeFixture, before: ReadonlyMap<string, number>): string[][] {
  const reader = JournalReader.open(site.directory);
  const changes = reader.changesAfter(before, 2 ** 30);
  reader.close();
  return changes.map(({ bytes }) => decodeChange(bytes, 2 ** 30).ops.map(({ key }) => key));
}

function makeFiles(site: VolumeFixture, directory: string): void {
  const parent = site.mkdir(directory);
  for (let i = 0; i < FILES; i++) site.volume.files.mknod(parent, `file-${i}`, 0o100644, 0, 0o022, USER);
}

test('what one commit holds goes to others in changes that are applied soon, each operation whole in one', async (t) => {
  const site = VolumeFixture.create();
  t.after(() => site.remove());
  const other = await site.join();
  t.after(() => other.remove());
  site.volume.fold();
  const before = new Map(site.volume.journal.heldVector());
  const first = site.volume.folding.lastCommit;
  makeFiles(site, '/many');
  site.volume.fold();
  assert.equal(site.volume.folding.lastCommit, first + 1);

  const changes = changesSince(site, before);
  const parent = site.resolve('/many');
  let born = 0;
  for (const keys of changes) {
    assert(keys.length < WRITES_OF_CHANGE + WRITES_OF_OPERATION, `${keys.length} writes`);
    const files = keys.filter((key) => key.endsWith('.born')).length;
    born += files;
    assert.equal(keys.filter((key) => key === `${parent}.times`).length, 1, 'what it does to the directory is in it');
  }
  assert.equal(born, FILES + 1);
  assert(changes.length >= Math.floor(FILES / WRITES_OF_CHANGE), `${changes.length} changes`);
  await site.sendTo(other);
  assert.equal(other.digest, site.digest);
});

test('operations of a commit that was never made are all there after SIGKILL, and go to others once', async (t) => {
  const site = VolumeFixture.create();
  t.after(() => site.remove());
  const other = await site.join();
  t.after(() => other.remove());
  makeFiles(site, '/many');
  site.crash();
  assert.equal(site.list('/many').length, FILES);
  await site.mergeWith(other);
  assert.equal(other.digest, site.digest);
  assert.equal(other.volume.files.lookup(ROOT_INO, 'many')?.ino, site.resolve('/many'));
});

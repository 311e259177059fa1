import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import { listConflicts } from '../crdt/conflicts.js';
import { JournalReader } from '../journal/journal-reader.js';
import { USER, VolumeFixture } from './volume-fixture.test-support.js';

const O_RDWR = 2;
const RENAME_EXCHANGE = 2;
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
  oslo.volume.remote.deliver(changes, '', (error) => assert.ifError(error));
  // A call of the very moment: its fold is not due when the changes are looked at.
  let called = false;
  oslo.volume.background.run(() => {
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
  const { attributes, opened } = oslo.volume.files.create(1, 'x', 0o644, O_RDWR, 0o022, USER);
  oslo.volume.fold();
  paris.volume.files.release(paris.volume.files.create(1, 'x', 0o644, O_RDWR, 0o022, USER).opened.handle);
  await paris.sendTo(oslo);
  assert.equal(oslo.volume.files.getattr(attributes.ino).nlink, 0, 'it is hidden');
  oslo.volume.files.write(opened.handle, 0, Buffer.from('acknowledged'), false);
  oslo.volume.files.release(opened.handle);
  await oslo.mergeWith(paris);
  const texts = paris.list('').map((name) => paris.text(name));
  assert.deepEqual(texts.toSorted(), ['', 'acknowledged']);
});

test('what is written to a new file is not lost when the empty one that hides it is changed or renamed meanwhile', async () => {
  for (const change of ['chmod', 'write', 'rename', 'exchange'] as const) {
    const [oslo, paris] = await twoSites();
    const { files } = oslo.volume;
    const { attributes, opened } = files.create(1, 'x', 0o644, O_RDWR, 0o022, USER);
    oslo.volume.fold();
    paris.volume.files.release(paris.volume.files.create(1, 'x', 0o644, O_RDWR, 0o022, USER).opened.handle);
    await paris.sendTo(oslo);
    assert.equal(files.getattr(attributes.ino).nlink, 0, 'it is hidden');
    const shown = oslo.resolve('x');
    if (change === 'chmod') files.setattr(shown, { mode: 0o600 }, USER, undefined);
    else if (change === 'write') oslo.write('x', 'others');
    else if (change === 'rename') oslo.rename('x', 'y');
    else {
      oslo.mkdir('d');
      files.rename(1, 'x', 1, 'd', RENAME_EXCHANGE, USER);
    }
    files.write(opened.handle, 0, Buffer.from('acknowledged'), false);
    files.release(opened.handle);
    await oslo.mergeWith(paris);
    const names = paris
      .list('')
      .filter((name) => (paris.volume.files.getattr(paris.resolve(name)).mode & 0o170000) === 0o100000);
    const texts = names.map((name) => paris.text(name));
    assert.deepEqual(texts.toSorted(), [change === 'write' ? 'others' : '', 'acknowledged'].toSorted(), change);
  }
});

test('who removes a file removes the equal one behind it, too, though a program may write to it yet', async () => {
  const [oslo, paris] = await twoSites();
  const { opened } = oslo.volume.files.create(1, 'x', 0o644, O_RDWR, 0o022, USER);
  oslo.volume.fold();
  paris.volume.files.release(paris.volume.files.create(1, 'x', 0o644, O_RDWR, 0o022, USER).opened.handle);
  await paris.sendTo(oslo);
  oslo.unlink('x');
  assert.deepEqual(oslo.list(''), []);
  oslo.volume.files.write(opened.handle, 0, Buffer.from('to a file without a name'), false);
  oslo.volume.files.release(opened.handle);
  await oslo.mergeWith(paris);
  assert.deepEqual(paris.list(''), []);
});

test('what is written to an open file is not lost when its names are removed one here and one there', async () => {
  const [oslo, paris] = await twoSites();
  const ino = oslo.write('x', 'base');
  oslo.volume.files.link(ino, 1, 'y');
  await oslo.mergeWith(paris);
  const { handle } = oslo.volume.files.open(ino, O_RDWR, false, USER);
  oslo.unlink('y');
  await oslo.sendTo(paris);
  paris.unlink('x');
  await paris.sendTo(oslo);
  oslo.volume.files.write(handle, 0, Buffer.from('acknowledged'), false);
  oslo.volume.files.release(handle);
  await oslo.mergeWith(paris);
  const texts = paris.list('').map((name) => paris.text(name));
  assert.deepEqual(texts, ['acknowledged']);
});

test('what is written to a file that came back is not lost when the other site removes it as well', async () => {
  const [oslo, paris] = await twoSites();
  oslo.write('x', 'base');
  await oslo.mergeWith(paris);
  oslo.write('x', 'later');
  paris.unlink('x');
  await oslo.sendTo(paris);
  assert.equal(paris.text('x'), 'later', 'what its removal had not seen brings it back');
  const { handle } = paris.volume.files.open(paris.resolve('x'), O_RDWR, false, USER);
  paris.volume.files.write(handle, 0, Buffer.from('acknowledged'), false);
  oslo.unlink('x');
  await oslo.sendTo(paris);
  paris.volume.files.release(handle);
  await paris.mergeWith(oslo);
  assert.equal(paris.digest, oslo.digest);
  for (const site of [oslo, paris]) assert.equal(site.text('x'), 'acknowledged');
});

test('what is written to a file that another site named once more is not lost when that name is removed', async () => {
  const [oslo, paris] = await twoSites();
  const ino = paris.write('x', 'base');
  await oslo.mergeWith(paris);
  oslo.volume.files.link(ino, 1, 'y');
  paris.unlink('x');
  await oslo.mergeWith(paris);
  const { handle } = paris.volume.files.open(paris.resolve('y'), O_RDWR, false, USER);
  paris.volume.files.write(handle, 0, Buffer.from('acknowledged'), false);
  oslo.unlink('y');
  await oslo.sendTo(paris);
  paris.volume.files.release(handle);
  await paris.mergeWith(oslo);
  for (const site of [oslo, paris])
    assert.deepEqual(
      site.list('').map((name) => site.text(name)),
      ['acknowledged'],
    );
});

for (const hearsFirst of [false, true])
  test(`what is written to an unlinked file does not bring it back when the other site ${hearsFirst ? 'changed and ' : ''}removed it as well`, async () => {
    const sites = await twoSites();
    for (const [here, there] of [sites, sites.toReversed() as [VolumeFixture, VolumeFixture]]) {
      here.write('x', 'base');
      await here.mergeWith(there);
      const { handle } = here.volume.files.open(here.resolve('x'), O_RDWR, false, USER);
      here.volume.files.write(handle, 0, Buffer.from('1'), false);
      if (hearsFirst) {
        there.write('x', 'later');
        await there.sendTo(here);
      }
      here.unlink('x');
      there.unlink('x');
      await there.sendTo(here);
      here.volume.files.write(handle, 0, Buffer.from('2'), false);
      here.volume.files.release(handle);
      await here.mergeWith(there);
      for (const site of sites) assert.deepEqual(site.list(''), []);
    }
  });

/** An access list as the kernel passes it: owner and a named user may read and write, the group and others read. */
function accessList(userId: number, mask: number): Buffer {
  const entries: [tag: number, perm: number, id: number][] = [
    [0x01, 6, 0xffffffff],
    [0x02, 6, userId],
    [0x04, 4, 0xffffffff],
    [0x10, mask, 0xffffffff],
    [0x20, 4, 0xffffffff],
  ];
  const bytes = Buffer.alloc(4 + entries.length * 8);
  bytes.writeUInt32LE(2, 0);
  for (const [i, [tag, perm, id]] of entries.entries()) {
    bytes.writeUInt16LE(tag, 4 + i * 8);
    bytes.writeUInt16LE(perm, 6 + i * 8);
    bytes.writeUInt32LE(id, 8 + i * 8);
  }
  return bytes;
}

/** What the list of a file says of mask and others, and the mode. */
function permissions(
  { volume }: VolumeFixture,
  ino: number,
): { mask: number; others: number; user: number; mode: number } {
  const list = volume.files.getxattr(ino, 'system.posix_acl_access');
  const mode = volume.files.getattr(ino).mode & 0o777;
  return { mask: list.readUInt16LE(30), others: list.readUInt16LE(38), user: list.readUInt32LE(16), mode };
}

test('others do not keep by an access list what another site took from them by chmod', async () => {
  const [oslo, paris] = await twoSites();
  const ino = oslo.write('x', 'x');
  await oslo.mergeWith(paris);
  oslo.volume.files.setxattr(ino, 'system.posix_acl_access', accessList(1001, 6), 0, false);
  paris.volume.files.setattr(ino, { mode: 0o600 }, USER, undefined);
  await oslo.mergeWith(paris);
  for (const site of [oslo, paris]) {
    assert.deepEqual(permissions(site, ino), { mask: 2, others: 0, user: 1001, mode: 0o620 });
  }
});

test('a chmod does not undo what another site changed in the access list', async () => {
  const [oslo, paris] = await twoSites();
  const ino = oslo.write('x', 'x');
  oslo.volume.files.setxattr(ino, 'system.posix_acl_access', accessList(1001, 6), 0, false);
  await oslo.mergeWith(paris);
  oslo.volume.files.setxattr(ino, 'system.posix_acl_access', accessList(1002, 6), 0, false);
  paris.volume.files.setattr(ino, { mode: 0o660 }, USER, undefined);
  await oslo.mergeWith(paris);
  for (const site of [oslo, paris]) {
    assert.deepEqual(permissions(site, ino), { mask: 6, others: 0, user: 1002, mode: 0o660 });
  }
});

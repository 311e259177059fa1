import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { listConflicts } from '../crdt/conflicts.js';
import { fsck } from '../daemon/fsck.js';
import { JournalReader } from '../journal/journal-reader.js';
import { BaseTransfer } from './base-transfer.js';
import { VolumeFixture } from './volume-fixture.test-support.js';

async function twoSites(t: TestContext): Promise<[VolumeFixture, VolumeFixture]> {
  const paris = VolumeFixture.create();
  t.after(() => paris.remove());
  paris.mkdir('/dir');
  for (let i = 0; i < 40; i++) paris.write(`/dir/file ${i}`, `content ${i}`);
  paris.write('/shared', 'first\n');
  const rome = await paris.join();
  t.after(() => rome.remove());
  await paris.mergeWith(rome);
  return [paris, rome];
}

/** Drops every change that nothing at the site needs, as if all sites had them. */
function dropAll({ volume }: VolumeFixture): void {
  volume.fold();
  volume.truncating.ask({ frontier: new Map(volume.journal.vector()), keepHistoryMs: 0, nowUs: Infinity });
  while (volume.background.run(() => false));
  volume.folding.commit();
}

/** Sends the base of one site to another one. `parts`: how many at most. @returns whether the other one has all of it */
function sendBase(from: VolumeFixture, to: VolumeFixture, parts = Infinity): boolean {
  const reader = JournalReader.open(from.directory);
  try {
    const offer = reader.baseOffer()!;
    let after = to.volume.base.offered(offer);
    for (let sent = 0; after !== null && sent < parts; sent++)
      after = to.volume.base.take(reader.readBase(offer.id, after, 2_000)!, from.siteId);
    return after === null;
  } finally {
    reader.close();
  }
}

function copies({ volume: { journal } }: VolumeFixture): string[] {
  return listConflicts(journal.store, journal.actors).map(({ kind }) => kind);
}

async function assertSound(site: VolumeFixture): Promise<void> {
  site.volume.fold();
  const config = { volume: 'team', site: 'paris', slot: 1 };
  const { faults } = await fsck({
    directory: site.directory,
    config,
    data: false,
    repair: false,
    daemon: async () => assert.fail('nothing is to be repaired'),
    tell: () => {},
  });
  assert.deepEqual(faults, []);
}

test('a site that joins gets the state where the changes are gone', async (t) => {
  const [paris] = await twoSites(t);
  dropAll(paris);
  assert.equal(paris.volume.journal.journalBytes, 0);
  paris.write('/later', 'after it was cut off');
  paris.volume.fold();
  const oslo = new VolumeFixture(`${paris.directory}-oslo`, '0f'.repeat(16), null);
  t.after(() => oslo.remove());
  assert.ok(sendBase(paris, oslo));
  await paris.sendTo(oslo);
  assert.equal(oslo.digest, paris.digest);
  assert.equal(oslo.text('/dir/file 7'), 'content 7');
  assert.equal(oslo.text('/later'), 'after it was cut off');
  await assertSound(oslo);
  await assertSound(paris);
  // It goes on like any site.
  oslo.volume.fold();
  assert.deepEqual(oslo.volume.journal.heads, paris.volume.journal.heads);
});

test('a site that was away for too long brings its work with it: nothing is lost, nothing competes that did not', async (t) => {
  const [paris, rome] = await twoSites(t);
  // Each on its own.
  rome.write('/shared', 'first\nfrom rome\n');
  rome.write('/only rome', 'new in rome');
  rome.unlink('/dir/file 1');
  rome.rename('/dir/file 2', '/dir/renamed in rome');
  rome.write('/dir/file 3', 'removed in paris, written in rome');
  rome.volume.fold();
  paris.write('/shared', 'first\nfrom paris\n');
  paris.write('/dir/file 4', 'written in paris');
  paris.unlink('/dir/file 3');
  paris.unlink('/dir/file 5');
  await paris.publish();
  dropAll(paris);
  assert.equal(paris.volume.journal.journalBytes > 0, copies(paris).length > 0);

  assert.ok(sendBase(paris, rome));
  assert.equal(rome.text('/only rome'), 'new in rome');
  await paris.mergeWith(rome);
  await paris.mergeWith(rome);
  assert.equal(rome.digest, paris.digest);
  assert.deepEqual([...rome.volume.journal.vector()].toSorted(), [...paris.volume.journal.vector()].toSorted());
  for (const site of [paris, rome]) {
    assert.equal(site.text('/only rome'), 'new in rome');
    assert.equal(site.text('/dir/file 3'), 'removed in paris, written in rome');
    assert.equal(site.text('/dir/file 4'), 'written in paris');
    assert.ok(site.list('/dir').includes('renamed in rome'));
    for (const gone of ['file 1', 'file 2', 'file 5']) assert.ok(!site.list('/dir').includes(gone), gone);
    const shared = site.list('/').filter((name) => name.startsWith('shared'));
    assert.deepEqual(shared.map((name) => site.text(`/${name}`)).toSorted(), [
      'first\nfrom paris\n',
      'first\nfrom rome\n',
    ]);
    // The two versions of /shared, and the file that returned.
    assert.deepEqual(
      copies(site).filter((kind) => kind === 'copy'),
      ['copy'],
    );
    await assertSound(site);
  }
});

test('both sites cut their journals off without the other: each takes the state of the other over', async (t) => {
  const [paris, rome] = await twoSites(t);
  rome.write('/rome', 'r');
  paris.write('/paris', 'p');
  await rome.publish();
  await paris.publish();
  dropAll(rome);
  dropAll(paris);
  assert.ok(sendBase(paris, rome));
  assert.ok(sendBase(rome, paris));
  await paris.mergeWith(rome);
  assert.equal(rome.digest, paris.digest);
  assert.equal(paris.text('/rome'), 'r');
  assert.equal(rome.text('/paris'), 'p');
  await assertSound(paris);
  await assertSound(rome);
  rome.write('/rome', 'again');
  await rome.sendTo(paris);
  assert.equal(paris.text('/rome'), 'again');
});

test('a transfer that SIGKILL cut off goes on where it was', async (t) => {
  const [paris, rome] = await twoSites(t);
  rome.write('/only rome', 'new in rome');
  rome.volume.fold();
  for (let i = 0; i < 40; i++) paris.write(`/dir/file ${i}`, `again ${i}`);
  await paris.publish();
  dropAll(paris);
  assert.ok(!sendBase(paris, rome, 2));
  rome.crash();
  assert.equal(rome.text('/only rome'), 'new in rome');
  assert.equal(rome.text('/dir/file 7'), 'content 7', 'nothing of it shows before it is whole');
  const reader = JournalReader.open(paris.directory);
  assert.ok(rome.volume.base.offered(reader.baseOffer()!)! > 0, 'what came is still there');
  reader.close();
  assert.ok(sendBase(paris, rome));
  rome.crash();
  await paris.mergeWith(rome);
  assert.equal(rome.digest, paris.digest);
  assert.equal(paris.text('/only rome'), 'new in rome');
});

test('a state comes some files at a time: none waits for one that comes later', async (t) => {
  const [paris, rome] = await twoSites(t);
  rome.write('/shared', 'first\nfrom rome\n');
  paris.write('/shared', 'first\nfrom paris\n');
  await paris.mergeWith(rome);
  const late = paris.mkdir('/late');
  paris.rename('/dir/file 1', '/late/file 1');
  paris.mkdir('/late/deep');
  paris.rename('/dir', '/late/deep/dir');
  paris.volume.files.link(paris.resolve('/late/file 1'), paris.resolve('/late/deep'), 'other name');
  paris.unlink('/late/deep/dir/file 2');
  assert.ok(paris.resolve('/late/file 1') < late, 'a file that is older than its directory');
  await paris.publish();
  const [copy] = listConflicts(paris.volume.journal.store, paris.volume.journal.actors);
  assert.equal(copy?.kind, 'copy');
  dropAll(paris);
  const files = BaseTransfer.filesPerBatch;
  BaseTransfer.filesPerBatch = 1;
  t.after(() => (BaseTransfer.filesPerBatch = files));
  const oslo = new VolumeFixture(`${paris.directory}-oslo`, '0f'.repeat(16), null);
  t.after(() => oslo.remove());
  for (const site of [rome, oslo]) {
    assert.ok(sendBase(paris, site));
    await paris.sendTo(site);
    assert.equal(site.digest, paris.digest);
    assert.equal(site.text('/late/deep/other name'), 'content 1');
    assert.deepEqual(site.list('/late/deep/dir').toSorted(), paris.list('/late/deep/dir').toSorted());
    assert.deepEqual(copies(site), ['copy']);
    await assertSound(site);
  }
});

test(
  'the state of another site filled the disk, and the site ended',
  { skip: process.getuid!() === 0 ? false : 'needs root' },
  async (t) => {
    const [paris] = await twoSites(t);
    dropAll(paris);
    const directory = mkdtempSync(join(tmpdir(), 'weft-volume-'));
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=128m', 'weft-base-transfer', directory]);
    t.after(() => {
      execFileSync('umount', ['--lazy', directory]);
      rmSync(directory, { recursive: true });
    });
    const oslo = new VolumeFixture(directory, '0f'.repeat(16), null);
    t.after(() => oslo.volume.close());
    const other = join(directory, 'other');
    const { bavail, bsize } = statfsSync(directory);
    writeFileSync(other, Buffer.alloc(bavail * bsize - (64 << 20) - (8 << 10)));
    for (let i = 0; i < 2; i++)
      assert.throws(() => sendBase(paris, oslo), /no room .*: free 1 MB of it, beside the 64 MiB/);
    rmSync(other);
    assert.ok(sendBase(paris, oslo));
    await paris.sendTo(oslo);
    assert.equal(oslo.digest, paris.digest);
  },
);

test('what a part of a base claims is checked', async (t) => {
  const [paris, rome] = await twoSites(t);
  paris.write('/shared', 'more');
  await paris.publish();
  dropAll(paris);
  const reader = JournalReader.open(paris.directory);
  t.after(() => reader.close());
  const offer = reader.baseOffer()!;
  const { base } = rome.volume;
  assert.throws(() => base.take(reader.readBase(offer.id, -1, 1_000)!, paris.siteId), /not asked for/);
  assert.throws(() => base.offered({ ...offer, id: '00'.repeat(32) }), /id is of another/);
  const [first, ...others] = offer.actors;
  const forged = { ...offer, actors: [{ ...first!, op: 1 }, ...others] };
  assert.equal(base.offered(forged), -1);
  const part = reader.readBase(offer.id, -1, Infinity)!;
  assert.throws(() => base.take(part, paris.siteId), /operation that is not in it/);
  const half = { ...part, bytes: part.bytes.subarray(0, part.bytes.length >> 1) };
  assert.throws(() => base.take(half, paris.siteId), /base|inode/);
  assert.equal(rome.text('/shared'), 'first\n');
});

test('what history and snapshots keep is not dropped', async (t) => {
  const [paris, rome] = await twoSites(t);
  paris.volume.ownPast.create('before');
  paris.write('/shared', 'second\n');
  await paris.publish();
  const { volume } = paris;
  const bytes = volume.journal.journalBytes;
  const ask = (keepHistoryMs: number, nowUs: number): void => {
    volume.truncating.ask({ frontier: new Map(volume.journal.vector()), keepHistoryMs, nowUs });
    while (volume.background.run(() => false));
    volume.folding.commit();
  };
  ask(86_400_000, 1_700_000_000_000_000);
  assert.equal(volume.journal.journalBytes, bytes);
  assert.deepEqual(volume.truncating.heldBy, { by: 'history' });
  ask(0, Infinity);
  assert.deepEqual(volume.truncating.heldBy, { by: 'snapshot', name: 'before' });
  assert.ok(volume.journal.journalBytes > 0);
  volume.ownPast.delete('before');
  ask(0, Infinity);
  assert.equal(volume.journal.journalBytes, 0);
  assert.ok(sendBase(paris, rome));
  await paris.mergeWith(rome);
  assert.equal(rome.digest, paris.digest);
});

test('where no history is wanted, what a site wrote whose clock was days ahead goes with the rest', async (t) => {
  const [paris] = await twoSites(t);
  const { volume } = paris;
  const request = { frontier: new Map(volume.journal.vector()), nowUs: volume.journal.lastStamp() - 86_400_000_000 };
  for (const [keepHistoryMs, heldBy] of [
    [1, { by: 'history' }],
    [0, null],
  ] as const) {
    volume.truncating.ask({ ...request, keepHistoryMs });
    while (volume.background.run(() => false));
    assert.deepEqual(volume.truncating.heldBy, heldBy);
  }
  assert.equal(volume.journal.journalBytes, 0);
});

test('versions in conflict stay, and what they have in common', async (t) => {
  const [paris, rome] = await twoSites(t);
  paris.write('/shared', 'first\nparis\n');
  rome.write('/shared', 'rome\nfirst\n');
  await paris.mergeWith(rome);
  assert.deepEqual(copies(paris), ['copy']);
  dropAll(paris);
  assert.deepEqual(paris.volume.truncating.heldBy, { by: 'conflict', ino: paris.resolve('/shared') });
  // A merge policy that is chosen now finds all that it needs.
  const policy = Buffer.from('text');
  paris.volume.files.setxattr(paris.resolve('/shared'), 'user.weft.merge', policy, 0, false);
  paris.volume.fold();
  while (paris.volume.background.run(() => false));
  await paris.publish();
  while (paris.volume.background.run(() => false));
  assert.equal(paris.text('/shared'), 'rome\nfirst\nparis\n');
});

test('power loss that takes the state that was taken over takes what builds on it, too', async (t) => {
  const [paris, rome] = await twoSites(t);
  paris.mkdir('/from paris');
  await paris.publish();
  dropAll(paris);
  rome.volume.fold();
  const kept = ['state.db', 'state.db-wal'].map((name) => [name, readFileSync(join(rome.directory, name))] as const);
  assert.ok(sendBase(paris, rome));
  rome.mkdir('/from paris/made in rome');
  rome.crash(0, (copy) => {
    for (const [name, bytes] of kept) writeFileSync(join(copy, name), bytes);
  });
  assert.ok(!rome.list('/').includes('from paris'));
  assert.ok(sendBase(paris, rome));
  await paris.mergeWith(rome);
  assert.equal(rome.digest, paris.digest);
  assert.deepEqual(rome.list('/from paris'), []);
});

// damaged-rows.test.ts — rows of the state that cannot be read, met in the middle of what changes it: a call has no effect then, and what
// is done by half is given up with the open commit, of which the log has all that was acknowledged.

import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import type { Dot } from '../crdt/change.js';
import type { Ino } from '../crdt/ids.js';
import { JournalReader } from '../journal/journal-reader.js';
import { USER, VolumeFixture } from './volume-fixture.test-support.js';

const DAMAGED = /inode \d+: its row in state\.db is damaged/;

let paris: VolumeFixture;
let oslo: VolumeFixture;

beforeEach(async () => {
  paris = VolumeFixture.create();
  oslo = await paris.join();
});
afterEach(() => {
  oslo.remove();
  paris.remove();
});

/** Flips a bit of an inode's row in a state that has nothing of it in memory. Returns what puts it right. */
function damage(site: VolumeFixture, ino: Ino): () => void {
  const flip = (): void => {
    const { db } = site.volume.journal;
    const state = Buffer.from(db.prepare('select state from inode where ino = ?').pluck().get(ino) as Uint8Array);
    state[state.length >> 1]! ^= 1;
    db.prepare('update inode set state = ? where ino = ?').run(state, ino);
  };
  site.reopen();
  flip();
  site.volume.folding.commit();
  return flip;
}

const mode = (site: VolumeFixture, path: string): number => site.volume.files.getattr(site.resolve(path)).mode & 0o7777;
const chmod = (site: VolumeFixture, path: string, to: number): void =>
  void site.volume.files.setattr(site.resolve(path), { mode: to }, USER, undefined);

test('a rename of a file that cannot be read leaves the one under its new name where it was', () => {
  paris.write('/new', 'new');
  paris.write('/old', 'old');
  const mend = damage(paris, paris.resolve('/new'));
  assert.throws(() => paris.rename('/new', '/old'), DAMAGED);
  paris.volume.fold();
  mend();
  assert.deepEqual(paris.list('/'), ['new', 'old']);
  assert.equal(paris.text('/old'), 'old');
});

test('a change of another site that writes to what cannot be read has no effect, and the site goes on', async () => {
  paris.mkdir('/a');
  paris.mkdir('/b');
  await paris.sendTo(oslo);
  for (const path of ['/a', '/b']) chmod(paris, path, 0o700);
  const before = new Map(oslo.volume.journal.heldVector());
  const mend = damage(oslo, oslo.resolve('/b'));
  await assert.rejects(paris.sendTo(oslo), DAMAGED);
  assert.equal(mode(oslo, '/a'), 0o755);
  assert.deepEqual(oslo.volume.journal.heldVector(), before);
  oslo.mkdir('/c');
  mend();
  await paris.sendTo(oslo);
  assert.deepEqual([mode(oslo, '/a'), mode(oslo, '/b')], [0o700, 0o700]);
  await oslo.sendTo(paris);
  assert.equal(oslo.digest, paris.digest);
});

test('a change that waited for another one waits on when a row that it writes to cannot be read', async () => {
  paris.mkdir('/a');
  await paris.sendTo(oslo);
  const before = new Map(paris.volume.journal.heldVector());
  paris.mkdir('/first');
  paris.volume.fold();
  chmod(paris, '/a', 0o700);
  paris.volume.fold();
  const reader = JournalReader.open(paris.directory);
  const [first, second] = reader.changesAfter(before, 2 ** 30);
  reader.close();
  const deliver = ({ bytes, deps }: { bytes: Uint8Array; deps: readonly Dot[] }): Error | null => {
    let refused: Error | null = null;
    oslo.volume.remote.deliver([bytes], paris.siteId, (error) => (refused = error), [deps]);
    while (oslo.volume.background.run(() => false));
    return refused;
  };
  const mend = damage(oslo, oslo.resolve('/a'));
  assert.equal(deliver(second!), null);
  assert.match(String(deliver(first!)), DAMAGED);
  assert.deepEqual(oslo.list('/'), ['a', 'first']);
  mend();
  oslo.volume.remote.retry(paris.siteId);
  assert.equal(mode(oslo, '/a'), 0o700);
});

test('what meets a row that cannot be read when half of it is done is given up, and the site with it', async () => {
  paris.write('/name', 'of paris');
  oslo.write('/name', 'of oslo');
  const rival = oslo.resolve('/name');
  const mend = damage(oslo, rival);
  oslo.mkdir('/kept');
  await assert.rejects(paris.sendTo(oslo), DAMAGED);
  assert.equal(oslo.volume.journal.isUsable, false);
  assert.throws(() => oslo.mkdir('/lost'));
  assert.throws(() => oslo.volume.fold(), /its row in state\.db is damaged\. "weft fsck --repair --state/);

  oslo.crash();
  assert.deepEqual(oslo.list('/'), ['kept', 'name']);
  mend();
  assert.equal(oslo.resolve('/name'), rival);
  await paris.mergeWith(oslo);
  assert.equal(oslo.digest, paris.digest);
  assert.equal(paris.list('/').length, 3);
});

test('an operation that fails when a part of it was applied is given up, and the site with it', () => {
  paris.write('/file', 'text');
  const ino = paris.resolve('/file');
  const core = paris.volume['contents']['core'];
  paris.volume.fold();
  paris.mkdir('/kept');
  const steps = [
    [{ ino, field: 'mode', value: 0o600 }],
    () => [{ ino, field: 'uid', value: 1 }],
    () => assert.fail('in the middle'),
  ];
  const failed = /in the middle/;
  assert.throws(() => core.perform(steps, core.clock.now(), [], [ino], { entries: [], inodes: [] }), failed);
  assert.throws(() => paris.volume.fold(), failed);

  paris.crash();
  assert.deepEqual(paris.list('/'), ['file', 'kept']);
  assert.equal(mode(paris, '/file'), 0o644);
});

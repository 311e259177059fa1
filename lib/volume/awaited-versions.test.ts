import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test, type TestContext } from 'node:test';
import { JournalReader } from '../journal/journal-reader.js';
import { AwaitedVersions } from './awaited-versions.js';
import type { Draft } from './draft.js';
import { VolumeFixture } from './volume-fixture.test-support.js';

const LARGE_BYTES = 300_000;
const US = 'ab'.repeat(16);

/** Both have a file of six bytes. */
async function twoSites(t: TestContext): Promise<[VolumeFixture, VolumeFixture]> {
  const paris = VolumeFixture.create();
  t.after(() => paris.remove());
  const oslo = await paris.join();
  t.after(() => oslo.remove());
  paris.write('file', 'before');
  await paris.sendTo(oslo);
  return [paris, oslo];
}

/** Writes another file and puts it in the place of this one. */
function replace(site: VolumeFixture, name: string, bytes: Buffer): void {
  site.write(`${name}.new`, bytes);
  site.rename(`${name}.new`, name);
}

/** Gives another site the changes that it may have, and has them applied in slices of one change. Returns what `name` showed after each. */
function share(from: VolumeFixture, to: VolumeFixture, name: string): number[] {
  const vector = from.volume.sharedVector();
  const reader = JournalReader.open(from.directory);
  const changes = reader
    .changesAfter(to.volume.journal.heldVector(), 2 ** 30)
    .filter(({ actor, seq }) => seq <= (vector.get(actor) ?? 0));
  reader.close();
  const sizes: number[] = [];
  to.volume.remote.deliver(
    changes.map(({ bytes }) => bytes),
    from.siteId,
    assert.ifError,
    changes.map(({ deps }) => deps),
  );
  const slice = (): boolean => {
    let looks = 0;
    return to.volume.background.run(() => looks++ > 0);
  };
  for (let goesOn = true; goesOn; sizes.push(to.volume.files.getattr(to.resolve(name)).size)) goesOn = slice();
  return sizes;
}

/** Once the last version of the file is made, the other site shows it, and on the way nothing but the one before. */
async function assertWhole(paris: VolumeFixture, oslo: VolumeFixture): Promise<void> {
  await paris.publish();
  paris.volume.fold();
  const sizes = share(paris, oslo, 'file');
  assert.equal(sizes.at(-1), LARGE_BYTES);
  for (const size of sizes) assert.ok(size === 6 || size === LARGE_BYTES, `${size} bytes`);
}

test('a large file that was replaced at one site is empty at another until it is a version', async (t) => {
  const [paris, oslo] = await twoSites(t);
  replace(paris, 'file', randomBytes(LARGE_BYTES));
  paris.volume.fold();
  assert.deepEqual(new Set(share(paris, oslo, 'file')), new Set([6]));
  await assertWhole(paris, oslo);
});

test('a large file that was replaced again before it was a version is empty at another site', async (t) => {
  const [paris, oslo] = await twoSites(t);
  for (let i = 0; i < 3; i++) {
    replace(paris, 'file', randomBytes(LARGE_BYTES));
    paris.volume.fold();
    assert.deepEqual(new Set(share(paris, oslo, 'file')), new Set([6]));
  }
  await assertWhole(paris, oslo);
});

test('a small file that was replaced among much else is empty at another site for a while', async (t) => {
  const [paris, oslo] = await twoSites(t);
  for (let i = 0; i < 60; i++) {
    paris.mkdir(`directory${i}`);
    replace(paris, 'file', Buffer.alloc(1000 + i));
  }
  paris.volume.fold();
  for (const size of share(paris, oslo, 'file')) assert.ok(size === 6 || size >= 1000, `${size} bytes`);
});

test('changes wait for ever for a version that does not come', async (t) => {
  const [paris, oslo] = await twoSites(t);
  replace(paris, 'file', randomBytes(LARGE_BYTES));
  paris.write('other', 'text');
  paris.commitMs = 3_000; // and no worker makes the version
  paris.volume.fold();
  while (paris.volume.background.run(() => false));
  share(paris, oslo, 'file');
  assert.deepEqual(oslo.list('/'), ['file', 'other']);
  paris.commitMs = 0;

  const waits = paris.write('gone.new', randomBytes(LARGE_BYTES));
  paris.rename('gone.new', 'gone');
  paris.volume.fold();
  paris.unlink('gone');
  paris.volume.fold();
  assert.equal(paris.volume.files.getattr(waits).nlink, 0);
  await paris.publish();
  while (paris.volume.background.run(() => false));
  paris.volume.fold();
  assert.deepEqual(paris.volume.sharedVector(), paris.volume.journal.heldVector());
});

test('changes of a run are shared up to the first that waits', () => {
  let seq = 0;
  let ms = 0;
  const awaited = new AwaitedVersions(
    US,
    () => seq,
    () => ms,
  );
  const [a, b, c] = [{}, {}, {}] as Draft[];
  const shared = (): number | undefined => awaited.lower(new Map([[US, 10]])).get(US);
  awaited.add(a!, undefined);
  assert.equal(shared(), undefined);
  awaited.came(a!);
  assert.equal(shared(), 10);
  seq = 4;
  awaited.add(a!, undefined);
  seq = 6;
  ms = 1_500;
  awaited.add(b!, a);
  awaited.came(a!);
  assert.equal(shared(), 4);
  seq = 8;
  awaited.add(c!, undefined);
  assert.ok(!awaited.giveUp(() => true));
  ms = 2_000;
  assert.ok(awaited.giveUp(() => true));
  assert.equal(shared(), 8);
  assert.ok(awaited.giveUp((draft) => draft !== c));
  assert.ok(awaited.isEmpty);
});

// eviction.test.ts — which objects are given up, and that what goes is what another site said it keeps.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { AbsentObjects } from '../chunks/absent-objects.js';
import { randomBytes } from '../chunks/chunks-fixture.test-support.js';
import { chunksOf, decodeManifest } from '../chunks/manifest.js';
import { packNames } from '../chunks/pack-use.js';
import type { Ino, ObjectId } from '../crdt/ids.js';
import { attributesOf } from '../crdt/inode-attributes.js';
import { carryOut, type CollectionSite } from './collection.js';
import { type EvictionPlan, type EvictionRequest, planEviction } from './eviction.js';
import { USER, VolumeFixture } from './volume-fixture.test-support.js';

const O_RDWR = 2;

/** A site that fetches on demand and holds three large files. */
async function holding(t: TestContext): Promise<VolumeFixture> {
  const fixture = VolumeFixture.create();
  t.after(() => fixture.remove());
  fixture.volume.wanted.keepAll(false);
  for (const [i, name] of ['a', 'b', 'c'].entries()) {
    // The same in each run: where it is cut into chunks says how much goes at a time.
    fixture.write(name, randomBytes(1_000_000, i));
    await fixture.publish();
  }
  fixture.volume.collection.giveUpKept();
  return fixture;
}

/** The manifest of the version that a file shows. */
const headOf = ({ volume: { journal } }: VolumeFixture, ino: Ino): ObjectId =>
  attributesOf(journal.store.inode(ino)!).head!.manifest;

/** Evicts; `kept`: what the other site keeps. `between`: what happens before anything goes. */
async function evict(
  { volume, directory }: VolumeFixture,
  what: Partial<EvictionRequest>,
  kept: (ids: readonly ObjectId[]) => readonly ObjectId[] = (ids) => ids,
  between: () => void = () => {},
): Promise<EvictionPlan> {
  const sealed = packNames(join(directory, 'packs'));
  volume.collection.begin();
  const written = volume.collection.versionsWritten();
  const request = { stateDirectory: directory, what: { bytes: Infinity }, pins: [], written, ...what };
  const plan = await planEviction(request, async (ids) => kept(ids));
  between();
  const site: CollectionSite = {
    collect: async (unused, moved) => volume.collection.collect(unused, moved, true),
    retire: async (packs) => volume.collection.retire(packs).retired,
    verify: async () => {},
  };
  const { removedPacks } = await carryOut(directory, plan, site, sealed, Date.now());
  volume.collection.end(removedPacks);
  return plan;
}

const isHere = (fixture: VolumeFixture, name: string): boolean => {
  try {
    fixture.text(name);
    return true;
  } catch (error) {
    if (error instanceof AbsentObjects) return false;
    throw error;
  }
};
const here = (fixture: VolumeFixture): string[] => ['a', 'b', 'c'].filter((name) => isHere(fixture, name));

test('what was read longest ago goes first', async (t) => {
  const fixture = await holding(t);
  fixture.text('a');
  const { evictedBytes } = await evict(fixture, { what: { bytes: 500_000 } });
  assert.ok(evictedBytes >= 500_000 && evictedBytes < 1_000_000, `${evictedBytes} bytes`);
  assert.deepEqual(here(fixture), ['a', 'c']);
});

test('the last copy of a file is given up, because no other site was asked', async (t) => {
  const fixture = await holding(t);
  const { evictedBytes, lastCopyBytes } = await evict(fixture, {}, () => []);
  assert.ok(evictedBytes === 0 && lastCopyBytes > 2_900_000);
  assert.deepEqual(here(fixture), ['a', 'b', 'c']);
});

test('a list of chunks goes before the chunks that stay, which then look as if nothing needed them', async (t) => {
  const fixture = await holding(t);
  const ino = fixture.resolve('a');
  let manifest = '';
  const { unused } = await evict(fixture, { what: { inos: [ino] } }, (ids) => {
    manifest = ids.at(-1)!;
    return ids.slice(1); // all but one chunk
  });
  assert.ok(unused[0]!.length > 0 && unused[1]!.length === 0);
  assert.ok(fixture.volume.objects.has(manifest));
  await fixture.collect();
  assert.equal((await evict(fixture, { what: { inos: [ino] } })).unused[1]!.length, 1);
});

test('pinned files, and what a draft is laid over, are given up', async (t) => {
  const fixture = await holding(t);
  const { files } = fixture.volume;
  const { handle } = files.open(fixture.resolve('b'), O_RDWR, false, USER);
  files.write(handle, 0, Buffer.from('changed'), false);
  await evict(fixture, { pins: [fixture.resolve('a')] });
  assert.deepEqual(here(fixture), ['a', 'b']);
  files.release(handle);
  await fixture.publish();
  assert.match(fixture.text('b'), /^changed/);
});

test('a file that is written to while an eviction is under way loses what it is laid over', async (t) => {
  const fixture = await holding(t);
  const { files } = fixture.volume;
  const { handle } = files.open(fixture.resolve('b'), O_RDWR, false, USER);
  await evict(
    fixture,
    {},
    (ids) => ids,
    () => files.write(handle, 0, Buffer.from('changed'), false),
  );
  fixture.crash();
  assert.deepEqual(
    fixture.notices.filter((notice) => notice.startsWith('corrupt')),
    [],
  );
  assert.match(fixture.text('b'), /^changed/);
});

test('after a crash an open file is read from its last version, not from the one before, of which nobody has all', async (t) => {
  const fixture = await holding(t);
  const { files, objects } = fixture.volume;
  const ino = fixture.resolve('b');
  const chunks = (): readonly ObjectId[] => chunksOf(decodeManifest(objects.get(headOf(fixture, ino))));
  const [first, before] = [headOf(fixture, ino), chunks()];
  const { handle } = files.open(ino, O_RDWR, false, USER);
  files.write(handle, 0, Buffer.from('changed'), false);
  await fixture.publish();
  files.write(handle, 7, Buffer.from(' again'), false);
  const now = chunks();
  const gone = before.filter((id) => !now.includes(id));
  assert.ok(gone.length > 0);
  await evict(fixture, { written: [] }, () => gone);
  fixture.crash();
  assert.match(fixture.text('b'), /^changed again/);
  // The log still says that it began from the first: the next start asks for that one's list of chunks.
  assert.deepEqual(new Set(fixture.volume.collection.versionsWritten()), new Set([first, headOf(fixture, ino)]));
  await evict(fixture, {});
  fixture.crash();
  assert.match(fixture.text('b'), /^changed again/);
});

test('what another site was told of is given up after all, because somebody chose to keep everything meanwhile', async (t) => {
  const fixture = await holding(t);
  await evict(
    fixture,
    {},
    (ids) => ids,
    () => fixture.volume.wanted.keepAll(true),
  );
  assert.deepEqual(here(fixture), ['a', 'b', 'c']);
});

// kept-elsewhere.test.ts — what a site is told of what others keep, over real sockets: only by those whose word counts.

import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import { MemorySite } from './memory-site.test-support.js';

const sites: MemorySite[] = [];

afterEach(async () => {
  await Promise.all(sites.splice(0).map((started) => started.syncer.stop()));
});

/** Two linked sites that hold the same file. */
async function pair(keepsEverything: boolean): Promise<{ paris: MemorySite; oslo: MemorySite; ids: string[] }> {
  const paris = new MemorySite('paris');
  sites.push(paris);
  paris.store.keepsEverything = keepsEverything;
  paris.address = await paris.syncer.start();
  await paris.write(50_000);
  const oslo = await MemorySite.start('oslo', { dial: [paris.address] });
  sites.push(oslo);
  await oslo.linked('paris');
  assert.ok(await oslo.syncer.waitSettled(5_000));
  return { paris, oslo, ids: [...oslo.store.objects.keys()] };
}

test('a site that keeps everything says what it has', async () => {
  const { paris, oslo, ids } = await pair(true);
  const vector = oslo.store.vector();
  assert.ok(oslo.syncer.hasKeeper(vector));
  assert.deepEqual(await oslo.syncer.keptElsewhere([...ids, 'ab'.repeat(32)], vector), ids);
  paris.store.objects.delete(ids[0]!);
  assert.deepEqual(await oslo.syncer.keptElsewhere(ids, vector), ids.slice(1));
  // It was linked as one that keeps everything, and has stopped to be one since.
  paris.store.keepsEverything = false;
  assert.deepEqual(await oslo.syncer.keptElsewhere(ids, vector), []);
});

test('a site that fetches on demand is counted on, or one that does not know what is named here', async () => {
  const { oslo, ids } = await pair(false);
  assert.equal(oslo.peer('paris')!.keepsAll, false);
  assert.deepEqual(await oslo.syncer.keptElsewhere(ids, oslo.store.vector()), []);
  const other = await pair(true);
  const later = new Map([...other.oslo.store.vector(), ['cd'.repeat(16), 1] as const]);
  assert.equal(other.oslo.syncer.hasKeeper(later), false);
  assert.deepEqual(await other.oslo.syncer.keptElsewhere(other.ids, later), []);
});

test('an eviction waits for ever for a site that went away before it answered', async () => {
  const { paris, oslo, ids } = await pair(true);
  paris.store.kept = () => new Promise(() => {});
  const asked = oslo.syncer.keptElsewhere(ids, oslo.store.vector());
  await paris.syncer.stop();
  assert.deepEqual(await asked, []);
});

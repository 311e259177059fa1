// absent-bytes.test.ts — what can be done with a file that another site wrote, before its bytes have arrived.

import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { AbsentObjects } from '../chunks/absent-objects.js';
import { chunksOf, decodeManifest } from '../chunks/manifest.js';
import { ObjectKind } from '../chunks/object-kind.js';
import { attributesOf } from '../crdt/inode-attributes.js';
import { JournalReader } from '../journal/journal-reader.js';
import { USER, VolumeFixture } from './volume-fixture.test-support.js';

const O_WRONLY = 1;
const O_TRUNC = 0o1000;

async function twoSites(t: TestContext): Promise<[paris: VolumeFixture, oslo: VolumeFixture]> {
  const paris = VolumeFixture.create();
  t.after(() => paris.remove());
  const oslo = await paris.join();
  t.after(() => oslo.remove());
  return [paris, oslo];
}

test('Input/output error, says a truncating open during a partition: what it discards need not be here', async (t) => {
  const [paris, oslo] = await twoSites(t);
  for (const [name, size] of [
    ['small', 100],
    ['large', 3_000_000],
  ] as const) {
    oslo.write(name, Buffer.alloc(size, 'oslo'));
    await oslo.publish();
    receive(paris, oslo);
    assert.throws(() => paris.text(name), AbsentObjects);

    const { handle } = paris.volume.files.open(paris.resolve(name), O_WRONLY | O_TRUNC, false, USER);
    paris.volume.files.write(handle, 0, Buffer.from('paris'), false);
    paris.volume.files.release(handle);
    await paris.publish();
    assert.equal(paris.text(name), 'paris');
    await paris.mergeWith(oslo);
    assert.equal(oslo.text(name), 'paris');
    assert.equal(oslo.digest, paris.digest);
  }
});

test('a site that fetches on demand wants what other sites wrote, or all chunks of a file of which one was read', async (t) => {
  const [paris, oslo] = await twoSites(t);
  paris.volume.wanted.keepAll(false);
  oslo.write('large', Buffer.alloc(3_000_000, 'oslo'));
  oslo.write('small', Buffer.from('oslo'));
  await oslo.publish();
  receive(paris, oslo);
  const { objects, arrivals } = paris.volume;
  let absent: readonly string[] = [];
  assert.throws(
    () => paris.text('large'),
    (error) => error instanceof AbsentObjects && (absent = error.ids).length === 1,
  );
  arrivals.needed(absent);
  assert.equal(objects.missingCount(), 0);
  const manifest = oslo.volume.objects.get(absent[0]!);
  const id = objects.put(ObjectKind.manifest, manifest);
  objects.flush();
  arrivals.adopt([objects.locate(id)!]);
  assert.equal(objects.missingCount(), 0);
  assert.throws(
    () => paris.text('large'),
    (error) => error instanceof AbsentObjects && !error.ids.includes(id),
  );
  paris.volume.wanted.keepAll(true);
  assert.throws(() => paris.text('small'), AbsentObjects);
  assert.equal(objects.missingCount(), 1, 'what is named and read now is wanted');
  paris.volume.wanted.keepAll(false);
  assert.equal(objects.missingCount(), 0);
});

test('bytes that a written file is laid over are not asked for once others overwrote them, or not after a restart', async (t) => {
  const [paris, oslo] = await twoSites(t);
  const { objects, arrivals, wanted, files, collection } = paris.volume;
  wanted.keepAll(false);
  oslo.write('large', Buffer.alloc(3_000_000, 'oslo'));
  await oslo.publish();
  receive(paris, oslo);
  const before = attributesOf(paris.volume.journal.store.inode(paris.resolve('large'))!).head!.manifest;
  const manifest = oslo.volume.objects.get(before);
  objects.put(ObjectKind.manifest, manifest);
  objects.flush();
  arrivals.adopt([objects.locate(before)!]);
  const { handle } = files.open(paris.resolve('large'), O_WRONLY, false, USER);
  files.write(handle, 5, Buffer.from('paris'), false);
  assert.equal(objects.missingCount(), 0, 'another site keeps what it shows');
  oslo.write('large', Buffer.alloc(3_000_000, 'oslo again'));
  await oslo.publish();
  receive(paris, oslo);
  const chunks = new Set(chunksOf(decodeManifest(manifest))).size;
  assert.equal(objects.missingCount(), chunks);
  wanted.keepAll(false);
  assert.equal(objects.missingCount(), chunks);
  assert.ok(collection.versionsWritten().includes(before));
});

/** Everything but content. */
function receive(to: VolumeFixture, from: VolumeFixture): void {
  const reader = JournalReader.open(from.directory);
  const changes = reader.changesAfter(to.volume.journal.vector(), 2 ** 30).map(({ bytes }) => bytes);
  reader.close();
  to.volume.remote.deliver(changes, '', (error) => assert.equal(error, null));
  while (to.volume.background.run(() => false));
}

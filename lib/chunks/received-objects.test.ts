import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { test } from 'node:test';
import { CorruptionError } from '../codec/bytes.js';
import { PosixError } from '../errno.js';
import {
  randomBytes,
  temporaryDirectory,
  temporaryStore,
  skipUnlessRoot,
  tinyFilesystem,
  wordyBytes,
} from './chunks-fixture.test-support.js';
import { ObjectKind, objectIdOf } from './object-kind.js';
import { ReceivedObjects } from './received-objects.js';

const { chunk, manifest } = ObjectKind;
const named = (kind: ObjectKind, bytes: Buffer) => ({ id: objectIdOf(bytes), kind, bytes });

test('received objects can be adopted and read', async (t) => {
  const { store, objectsDirectory } = temporaryStore(t);
  const received = new ReceivedObjects(objectsDirectory);
  t.after(() => received.close());
  const batch = [named(chunk, randomBytes(70_000, 1)), named(manifest, wordyBytes(300, 2))];
  for (const { id, kind } of batch) store.want(id, kind);
  const [first, second] = await Promise.all([
    received.store(batch),
    received.store([named(chunk, wordyBytes(90_000, 3))]),
  ]);
  store.adopt([...first, ...second]);
  assert.equal(store.missingCount(), 0);
  for (const { id, bytes } of batch) assert.deepEqual(store.get(id), bytes);
  assert.deepEqual(store.get(second[0]!.id), wordyBytes(90_000, 3));
});

test('wrong bytes are refused by name, and nothing of the batch is stored', async (t) => {
  const directory = temporaryDirectory(t);
  const received = new ReceivedObjects(directory);
  t.after(() => received.close());
  const id = objectIdOf(Buffer.from('right'));
  await assert.rejects(
    received.store([named(chunk, randomBytes(10, 1)), { id, kind: chunk, bytes: Buffer.from('wrong') }]),
    (error) => error instanceof CorruptionError && error.message.includes(id),
  );
  await assert.rejects(received.store([named(chunk, Buffer.alloc((1 << 20) + 1))]), /at most 1048576 are allowed/);
  assert.deepEqual(readdirSync(directory), []);
});

test('what comes after a sync that failed is put into the pack that this left, be it on the disk or not', async (t) => {
  const directory = temporaryDirectory(t);
  const received = new ReceivedObjects(directory);
  t.after(() => received.close());
  const [first] = await received.store([named(chunk, randomBytes(10_000, 1))]);
  const file = await open(directory, 'r');
  const failing = t.mock.method(Object.getPrototypeOf(file) as FileHandle, 'sync', async () => {
    failing.mock.restore();
    throw Object.assign(new Error('EIO'), { code: 'EIO', errno: -5 });
  });
  await file.close();
  await assert.rejects(received.store([named(chunk, randomBytes(10_000, 2))]), { code: 'EIO' });
  const [next] = await received.store([named(chunk, randomBytes(10_000, 3))]);
  assert.notEqual(next!.pack, first!.pack);
});

test(
  'a disk that others fill keeps its last 64 MiB: objects that would need them are refused with ENOSPC, smaller ones taken',
  { skip: skipUnlessRoot },
  async (t) => {
    const received = new ReceivedObjects(tinyFilesystem(t, (64 << 20) + (128 << 10)));
    t.after(() => received.close());
    await assert.rejects(
      received.store([named(chunk, randomBytes(300_000, 1))]),
      (error) => error instanceof PosixError && error.code === 'ENOSPC',
    );
    assert.equal((await received.store([named(chunk, randomBytes(30_000, 1))])).length, 1);
  },
);

test('batches that come while others are written get their own objects back, across packs, and a seal in between', async (t) => {
  const { store, objectsDirectory } = temporaryStore(t);
  const received = new ReceivedObjects(objectsDirectory);
  t.after(() => received.close());
  const batches = Array.from({ length: 40 }, (_, i) => [
    named(chunk, randomBytes(200_000 + i, i)),
    named(chunk, wordyBytes(50_000 + i, i)),
    named(manifest, randomBytes(30, 1000 + i)),
  ]);
  const stored = batches.map((batch) => received.store(batch));
  const sealed = received.seal();
  const later = received.store([named(chunk, randomBytes(100, 7))]);
  for (const [i, packed] of (await Promise.all(stored)).entries()) {
    assert.deepEqual(
      packed.map(({ id }) => id),
      batches[i]!.map(({ id }) => id),
    );
    store.adopt(packed);
  }
  await sealed;
  const [last] = await later;
  store.adopt([last!]);
  assert.notEqual(last!.pack, (await stored[0]!)[0]!.pack);
  for (const { id, bytes } of batches.flat()) assert.deepEqual(store.get(id), bytes);
});

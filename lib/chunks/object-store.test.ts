import assert from 'node:assert/strict';
import fs, { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import Database from 'better-sqlite3';
import { CorruptionError } from '../codec/bytes.js';
import { PosixError } from '../errno.js';
import { AbsentObjects } from './absent-objects.js';
import {
  commit,
  randomBytes,
  temporaryDirectory,
  temporaryStore,
  skipUnlessRoot,
  tinyFilesystem,
  wordyBytes,
} from './chunks-fixture.test-support.js';
import type { TestStore } from './chunks-fixture.test-support.js';
import { fsyncPaths } from './fsync-paths.js';
import { ObjectKind, objectIdOf } from './object-kind.js';
import { ObjectReader } from './object-reader.js';
import { ObjectStore } from './object-store.js';
import { RECORD_HEADER_BYTES } from './pack-record.js';
import { PackWriter, scanPack } from './pack.js';

const { chunk, manifest } = ObjectKind;

test('what is put is held, once, and comes back', (t) => {
  const { store, db } = temporaryStore(t);
  const contents = [randomBytes(4096, 1), wordyBytes(100_000, 2), Buffer.alloc(0)];
  const ids = contents.map((bytes) => store.put(chunk, bytes));
  assert.deepEqual(ids, contents.map(objectIdOf));
  for (const [i, id] of ids.entries()) {
    assert.ok(store.has(id));
    assert.deepEqual(store.get(id), contents[i]);
  }
  const bytes = store.bytes();
  const { offset } = store.locate(ids[0]!)!;
  assert.equal(store.put(chunk, contents[0]!), ids[0]);
  assert.equal(store.locate(ids[0]!)!.offset, offset);
  assert.equal(store.bytes(), bytes);
  store.put(chunk, randomBytes(1000, 3));
  assert.equal(store.bytes(), bytes + 1000);
  assert.equal(db.prepare('SELECT total(stored) FROM object').pluck().get(), bytes + 1000);
});

test('objects are there after a restart, and old packs are not appended to', (t) => {
  const { store, db, databasePath, objectsDirectory } = temporaryStore(t);
  const id = store.put(chunk, randomBytes(4096, 1));
  store.want('ab'.repeat(32), chunk);
  store.sync();
  store.close();
  store.flush();
  db.exec('COMMIT');
  const again = new Database(databasePath);
  again.exec('BEGIN');
  const reopened = new ObjectStore(again, objectsDirectory);
  assert.deepEqual(reopened.get(id), randomBytes(4096, 1));
  assert.equal(reopened.missingCount(), 1);
  const other = reopened.put(chunk, randomBytes(4096, 2));
  assert.notEqual(reopened.locate(other)!.pack, reopened.locate(id)!.pack);
  reopened.close();
  again.close();
});

test('what is not held is absent, by name', (t) => {
  const { store } = temporaryStore(t);
  const id = objectIdOf(Buffer.from('elsewhere'));
  assert.equal(store.has(id), false);
  assert.throws(
    () => store.get(id),
    (error) => error instanceof AbsentObjects && error.ids[0] === id,
  );
});

test('an object that was read before it came was counted twice as missing', (t) => {
  const { store } = temporaryStore(t);
  const id = objectIdOf(Buffer.from('elsewhere'));
  store.want(id, manifest, 100);
  assert.throws(() => store.get(id), AbsentObjects);
  assert.deepEqual(store.missing(10), [{ id, kind: manifest, bytes: 100 }]);
  const other = objectIdOf(Buffer.from('elsewhere too'));
  assert.throws(() => store.get(other), AbsentObjects);
  store.want(other, manifest, 50);
  assert.deepEqual([store.missingCount(), store.missingBytes()], [2, 150]);
});

test('missing objects are listed, manifests first, until they come', (t) => {
  const { store, objectsDirectory } = temporaryStore(t);
  const contents = Array.from({ length: 10 }, (_, i) => randomBytes(100 + i, i));
  const wanted = contents.map((bytes, i) => ({ id: objectIdOf(bytes), kind: i % 2 === 0 ? chunk : manifest }));
  for (const { id, kind } of wanted) store.want(id, kind);
  for (const { id, kind } of wanted) store.want(id, kind);
  assert.equal(store.missingCount(), 10);
  const all = store.missing(100);
  assert.deepEqual(
    all.map(({ kind }) => kind),
    [1, 1, 1, 1, 1, 2, 2, 2, 2, 2],
  );
  assert.deepEqual(new Set(all.map(({ id }) => id)), new Set(wanted.map(({ id }) => id)));
  assert.deepEqual([...store.missing(4), ...store.missing(100, all[3])], all);

  store.put(wanted[0]!.kind, contents[0]!);
  const writer = new PackWriter(objectsDirectory, 'other');
  const packed = contents.slice(1, 4).map((bytes, i) => writer.append(wanted[i + 1]!.kind, objectIdOf(bytes), bytes));
  writer.close();
  store.adopt(packed);
  store.adopt(packed);
  assert.equal(store.missingCount(), 6);
  assert.equal(store.missing(100).length, 6);
  for (const [i, { id }] of packed.entries()) assert.deepEqual(store.get(id), contents[i + 1]);
  store.want(packed[0]!.id, packed[0]!.kind);
  assert.equal(store.missingCount(), 6);
});

/** Flips one bit of the object's record. */
function damage({ store, objectsDirectory }: TestStore, id: string, position: number): void {
  store.flush();
  const object = store.locate(id)!;
  const path = join(objectsDirectory, object.pack);
  const bytes = readFileSync(path);
  bytes[object.offset + position]! ^= 0x10;
  writeFileSync(path, bytes);
}

const RECORD_PARTS: [string, number][] = [
  ['magic', 0],
  ['kind', 4],
  ['flags', 5],
  ['stored length', 6],
  ['raw length', 10],
  ['id', 14],
  ['header checksum', 46],
  ['data', RECORD_HEADER_BYTES + 500],
];

for (const [part, position] of RECORD_PARTS) {
  for (const [form, bytes] of [
    ['plain', randomBytes(20_000, 1)],
    ['compressed', wordyBytes(20_000, 1)],
  ] as const) {
    test(`a damaged ${part} of a ${form} object makes it a missing one`, (t) => {
      const reported: string[] = [];
      const fixture = temporaryStore(t, { cacheBytes: 1000, onCorrupt: (id) => reported.push(id) });
      const { store } = fixture;
      const id = store.put(chunk, bytes);
      const kept = store.put(chunk, randomBytes(100, 2));
      const total = store.bytes();
      const { stored } = store.locate(id)!;
      damage(fixture, id, position);
      assert.throws(
        () => store.get(id),
        (error) => error instanceof CorruptionError && error.message.includes(id),
      );
      assert.deepEqual(reported, [id]);
      assert.equal(store.has(id), false);
      assert.deepEqual(store.missing(10), [{ id, kind: chunk, bytes: bytes.length }]);
      assert.equal(store.bytes(), total - stored);
      assert.throws(() => store.get(id), AbsentObjects);
      assert.ok(store.verify(kept));
      // A peer supplies it again.
      store.put(chunk, bytes);
      assert.equal(store.missingCount(), 0);
      assert.deepEqual(store.get(id), bytes);
    });
  }
}

test('an object in memory is verified against the disk when asked to', (t) => {
  const fixture = temporaryStore(t);
  const { store } = fixture;
  const id = store.put(chunk, randomBytes(5000, 1));
  store.get(id);
  damage(fixture, id, RECORD_HEADER_BYTES);
  assert.deepEqual(store.get(id), randomBytes(5000, 1));
  assert.equal(store.verify(id), false);
  assert.equal(store.verify(id), false);
  assert.equal(store.missingCount(), 1);
});

test('bytes missing are those of what is wanted and not held, exactly, through damage and a reopening', (t) => {
  const fixture = temporaryStore(t);
  const { store } = fixture;
  const bytes = randomBytes(5000, 1);
  const id = store.put(chunk, bytes);
  store.want(id, chunk, bytes.length);
  assert.equal(store.missingBytes(), 0);
  store.want('ef'.repeat(32), manifest, 70_000);
  store.want('ef'.repeat(32), manifest, 70_000);
  damage(fixture, id, RECORD_HEADER_BYTES);
  assert.equal(store.verify(id), false);
  assert.equal(store.missingBytes(), 75_000);
  store.put(chunk, bytes);
  assert.equal(store.missingBytes(), 70_000);
  store.unwantAll();
  assert.equal(store.missingBytes(), 0);
});

test('an object that came as another kind than it was wanted as is not missing any more', (t) => {
  const { store } = temporaryStore(t);
  const bytes = randomBytes(100, 1);
  store.want(objectIdOf(bytes), manifest);
  store.put(chunk, bytes);
  assert.deepEqual(store.missing(10), []);
  assert.equal(store.missingCount(), 0);
});

test('what was put is in no pack until it is flushed, and many objects are one write', (t) => {
  const { store, objectsDirectory } = temporaryStore(t);
  const bytes = Array.from({ length: 100 }, (_, i) => randomBytes(3000 + i, i));
  const ids = bytes.map((one) => store.put(chunk, one));
  const inPack = (): number =>
    [...scanPack(join(objectsDirectory, store.locate(ids[0]!)!.pack))].filter(({ intact }) => intact).length;
  assert.equal(inPack(), 0);
  for (const [i, id] of ids.entries()) assert.deepEqual(store.get(id), bytes[i]);
  assert.equal(inPack(), 0);
  store.put(chunk, randomBytes(10, 200));
  store.flush();
  assert.equal(inPack(), 101);
});

test('No space left on device, said a read of what was just put', (t) => {
  const { store } = temporaryStore(t);
  const contents = [randomBytes(5000, 1), wordyBytes(20_000, 2)];
  const ids = contents.map((bytes) => store.put(chunk, bytes));
  const write = t.mock.method(fs, 'writeSync', () => {
    throw Object.assign(new Error('ENOSPC: no space left on device, write'), {
      code: 'ENOSPC',
      errno: -28,
      syscall: 'write',
    });
  });
  syncBuiltinESMExports();
  try {
    assert.throws(() => store.flush(), PosixError);
    for (const [i, id] of ids.entries()) assert.deepEqual(store.get(id), contents[i]);
  } finally {
    write.mock.restore();
    syncBuiltinESMExports();
  }
  store.flush();
  for (const [i, id] of ids.entries()) assert.deepEqual(store.get(id), contents[i]);
});

test('a lost pack makes its objects missing ones', (t) => {
  const { store, objectsDirectory } = temporaryStore(t);
  const id = store.put(chunk, randomBytes(5000, 1));
  store.flush();
  rmSync(join(objectsDirectory, store.locate(id)!.pack));
  assert.throws(() => store.get(id), CorruptionError);
  assert.deepEqual(store.missing(1), [{ id, kind: chunk, bytes: 5000 }]);
});

test('the index is found again in the packs', (t) => {
  const { store, objectsDirectory } = temporaryStore(t);
  const contents = Array.from({ length: 20 }, (_, i) => wordyBytes(i * 2000, i));
  const ids = contents.map((bytes) => store.put(chunk, bytes));
  store.flush();
  const db = new Database(':memory:');
  const rebuilt = new ObjectStore(db, objectsDirectory);
  rebuilt.want(ids[3]!, chunk);
  assert.equal(rebuilt.reindex(), 20);
  assert.equal(rebuilt.reindex(), 0);
  assert.equal(rebuilt.missingCount(), 0);
  for (const [i, id] of ids.entries()) assert.deepEqual(rebuilt.get(id), contents[i]);
  rebuilt.close();
  db.close();
});

test('another thread makes the packs durable', async (t) => {
  const { store, objectsDirectory } = temporaryStore(t);
  const id = store.put(chunk, randomBytes(5000, 1));
  const paths = store.takeUnsynced(1);
  assert.deepEqual(paths, [join(objectsDirectory, store.locate(id)!.pack), objectsDirectory]);
  await fsyncPaths(paths);
  assert.deepEqual(store.takeUnsynced(1), []);
  store.put(chunk, randomBytes(5000, 2));
  assert.deepEqual(store.takeUnsynced(1), paths.slice(0, 1));
});

test('a full disk gives ENOSPC, and the index does not name what was not stored', { skip: skipUnlessRoot }, (t) => {
  const db = new Database(':memory:');
  const store = new ObjectStore(db, tinyFilesystem(t, 256 << 10));
  const first = store.put(chunk, randomBytes(100_000, 1));
  const large = randomBytes(500_000, 2);
  assert.throws(
    () => store.put(chunk, large),
    (error) => error instanceof PosixError && error.code === 'ENOSPC',
  );
  assert.equal(store.has(objectIdOf(large)), false);
  assert.deepEqual(store.get(first), randomBytes(100_000, 1));
  store.close();
  db.close();
});

/** A store whose objects are committed, so that other connections see them. */
function committed(t: TestContext, bytes: Buffer): TestStore & { id: string } {
  const fixture = temporaryStore(t);
  const id = fixture.store.put(chunk, bytes);
  commit(fixture);
  return { ...fixture, id };
}

test('another thread reads what is committed', (t) => {
  const { store, db, id, databasePath, objectsDirectory } = committed(t, wordyBytes(50_000, 1));
  const reader = new ObjectReader(databasePath, objectsDirectory);
  assert.ok(reader.has(id));
  assert.deepEqual(reader.get(id), wordyBytes(50_000, 1));
  assert.deepEqual(reader.locate(id), store.locate(id));
  const later = store.put(chunk, randomBytes(10, 1));
  assert.throws(() => reader.get(later), AbsentObjects);
  commit({ store, db });
  assert.deepEqual(reader.get(later), randomBytes(10, 1));
  store.want('cd'.repeat(32), chunk);
  store.want('ef'.repeat(32), manifest, 70_000);
  commit({ store, db });
  assert.deepEqual(reader.missing(10), store.missing(10));
  assert.deepEqual(reader.missing(1), [{ id: 'ef'.repeat(32), kind: manifest, bytes: 70_000 }]);
  reader.close();
});

test('another thread never passes on damaged bytes', (t) => {
  const fixture = committed(t, randomBytes(50_000, 1));
  damage(fixture, fixture.id, RECORD_HEADER_BYTES + 7);
  const reader = new ObjectReader(fixture.databasePath, fixture.objectsDirectory);
  assert.throws(() => reader.get(fixture.id), CorruptionError);
  reader.close();
  assert.equal(fixture.store.verify(fixture.id), false);
});

test('a reader of a database that is not there says so', (t) => {
  const directory = temporaryDirectory(t);
  assert.throws(
    () => new ObjectReader(join(directory, 'none.db'), directory),
    /unable to open|does not exist|no such/i,
  );
});

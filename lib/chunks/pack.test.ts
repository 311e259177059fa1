import assert from 'node:assert/strict';
import fs, { appendFileSync, readdirSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { join } from 'node:path';
import { test } from 'node:test';
import { CorruptionError } from '../codec/bytes.js';
import { PosixError } from '../errno.js';
import {
  randomBytes,
  temporaryDirectory,
  skipUnlessRoot,
  tinyFilesystem,
  wordyBytes,
} from './chunks-fixture.test-support.js';
import { fsyncPaths } from './fsync-paths.js';
import { ObjectKind, objectIdOf } from './object-kind.js';
import { PACK_HEADER_BYTES, RECORD_HEADER_BYTES } from './pack-record.js';
import { PackReader } from './pack-reader.js';
import { PackWriter, scanPack } from './pack.js';
import type { PackedObject } from './pack.js';

const CONTENTS = [
  randomBytes(5000, 1),
  Buffer.alloc(0),
  wordyBytes(200_000, 2),
  randomBytes(1 << 20, 3),
  randomBytes(1, 4),
  randomBytes(70_000, 5),
];

function append(writer: PackWriter, bytes: Buffer): PackedObject {
  return writer.append(bytes.length % 2 === 0 ? ObjectKind.chunk : ObjectKind.manifest, objectIdOf(bytes), bytes);
}

function fill(directory: string): PackedObject[] {
  const writer = new PackWriter(directory, 'test');
  const objects = CONTENTS.map((bytes) => append(writer, bytes));
  writer.sync();
  writer.close();
  return objects;
}

test('objects are read back from where the writer put them, and found by a scan', (t) => {
  const directory = temporaryDirectory(t);
  const objects = fill(directory);
  const reader = new PackReader(directory);
  for (const [i, object] of objects.entries()) assert.deepEqual(reader.read(object), CONTENTS[i]);
  assert.ok(objects[2]!.stored < objects[2]!.raw / 2);
  reader.close();
  const found = [...scanPack(join(directory, objects[0]!.pack))];
  assert.deepEqual(
    found.map(({ object }) => object),
    objects,
  );
  assert.ok(found.every(({ intact }) => intact));
});

test('a large manifest is written in more than one piece', (t) => {
  const directory = temporaryDirectory(t);
  const bytes = randomBytes((5 << 20) + 1, 1);
  const writer = new PackWriter(directory, 'test');
  const object = append(writer, bytes);
  assert.deepEqual(append(writer, CONTENTS[0]!).offset, object.offset + RECORD_HEADER_BYTES + bytes.length);
  writer.close();
  const reader = new PackReader(directory);
  assert.deepEqual(reader.read(object), bytes);
  reader.close();
});

test('a pack that is full is followed by another, and all of them are synced', async (t) => {
  const directory = temporaryDirectory(t);
  const writer = new PackWriter(directory, 'test', 100_000);
  const bytes = Array.from({ length: 20 }, (_, i) => randomBytes(30_000, i));
  const objects = bytes.map((each) => append(writer, each));
  assert.equal(new Set(objects.map((object) => object.pack)).size, 7);
  const unsynced = writer.takeUnsynced();
  assert.equal(unsynced.length, 8);
  assert.ok(unsynced.includes(directory));
  await fsyncPaths(unsynced);
  assert.deepEqual(writer.takeUnsynced(), []);
  objects.push(append(writer, CONTENTS[0]!));
  writer.sync();
  writer.close();
  const reader = new PackReader(directory);
  for (const [i, object] of objects.entries()) assert.deepEqual(reader.read(object), bytes[i] ?? CONTENTS[0]);
  reader.close();
  for (const name of readdirSync(directory)) assert.ok(statSync(join(directory, name)).size <= 100_000);
});

test('a writer starts a pack of its own, whatever is there', (t) => {
  const directory = temporaryDirectory(t);
  fill(directory);
  fill(directory);
  assert.equal(readdirSync(directory).length, 2);
});

test('a pack torn anywhere keeps all records before the tear', (t) => {
  const directory = temporaryDirectory(t);
  const objects = fill(directory);
  const path = join(directory, objects[0]!.pack);
  const whole = readFileSync(path);
  const starts = [...objects.map((object) => object.offset), whole.length];
  const tears = new Set([whole.length - 1]);
  for (const start of starts) {
    for (const distance of [0, 1, RECORD_HEADER_BYTES - 1, RECORD_HEADER_BYTES]) tears.add(start + distance);
  }
  for (const tear of tears) {
    writeFileSync(path, whole.subarray(0, tear));
    const complete = starts.filter((start) => start > PACK_HEADER_BYTES && start <= tear).length;
    assert.equal([...scanPack(path)].length, complete, `torn at ${tear}`);
    // A crash may also leave the length, but not the bytes.
    appendFileSync(path, Buffer.alloc(5_000_000));
    assert.equal([...scanPack(path)].filter(({ intact }) => intact).length >= complete, true);
    truncateSync(path, tear);
  }
});

test('a flipped bit in any part of a record is noticed, and costs that record alone', (t) => {
  const directory = temporaryDirectory(t);
  const objects = fill(directory);
  const path = join(directory, objects[0]!.pack);
  const whole = readFileSync(path);
  for (const victim of [0, 2, 3, 5]) {
    const object = objects[victim]!;
    const positions = [
      ...Array(RECORD_HEADER_BYTES).keys(),
      RECORD_HEADER_BYTES,
      RECORD_HEADER_BYTES + (object.stored >> 1),
    ];
    for (const position of positions) {
      const damaged = Buffer.from(whole);
      damaged[object.offset + position]! ^= 1 << (position % 8);
      writeFileSync(path, damaged);
      const reader = new PackReader(directory);
      assert.throws(() => reader.read(object), CorruptionError, `record ${victim}, byte ${position}`);
      reader.close();
      const intact = [...scanPack(path)].filter((found) => found.intact).map((found) => found.object);
      assert.deepEqual(
        intact,
        objects.filter((each) => each !== object),
        `record ${victim}, byte ${position}`,
      );
    }
  }
});

test('a file that is no pack is refused by name', (t) => {
  const path = join(temporaryDirectory(t), 'x.pack');
  const scan = () => [...scanPack(path)];
  writeFileSync(path, 'something else entirely');
  assert.throws(scan, /x\.pack: not a pack/);
  writeFileSync(path, '');
  assert.throws(scan, CorruptionError);
  writeFileSync(path, Buffer.from('WEFTPACK\x01\0\0\0\0\0\0\0', 'latin1'));
  assert.throws(scan, /damaged pack header/);
});

test('a pack that is gone, or too short, is corruption and no crash', (t) => {
  const directory = temporaryDirectory(t);
  const [object] = fill(directory);
  const reader = new PackReader(directory);
  assert.throws(() => reader.read({ ...object!, pack: 'gone.pack' }), CorruptionError);
  assert.throws(() => reader.read({ ...object!, offset: 1 << 30 }), /ends too early/);
  reader.close();
});

test('what was staged is not lost when a write fails: the next flush, or sync, has it', (t) => {
  const directory = temporaryDirectory(t);
  const writer = new PackWriter(directory, 'test');
  t.after(() => writer.close());
  const stage = (bytes: Buffer): PackedObject => writer.stage(ObjectKind.chunk, objectIdOf(bytes), bytes);
  const contents = [randomBytes(100, 1), randomBytes(200, 2), randomBytes(300, 3)];
  const objects = [stage(contents[0]!), stage(contents[1]!)];
  const write = t.mock.method(fs, 'writeSync', () => {
    throw Object.assign(new Error('EIO: i/o error, write'), { code: 'EIO', errno: -5, syscall: 'write' });
  });
  syncBuiltinESMExports();
  try {
    assert.throws(() => writer.flush(), PosixError);
    assert.throws(() => writer.sync(), PosixError);
    objects.push(stage(contents[2]!));
  } finally {
    write.mock.restore();
    syncBuiltinESMExports();
  }
  writer.sync();
  const reader = new PackReader(directory);
  t.after(() => reader.close());
  for (const [i, object] of objects.entries()) assert.deepEqual(reader.read(object), contents[i]);
});

test('a full disk gives ENOSPC, and the writer goes on where it was', { skip: skipUnlessRoot }, (t) => {
  const directory = tinyFilesystem(t, 256 << 10);
  const writer = new PackWriter(directory, 'test');
  const first = append(writer, randomBytes(100_000, 1));
  assert.throws(
    () => append(writer, randomBytes(500_000, 2)),
    (error) => error instanceof PosixError && error.code === 'ENOSPC',
  );
  const second = append(writer, randomBytes(50_000, 3));
  writer.sync();
  writer.close();
  assert.deepEqual(
    [...scanPack(join(directory, first.pack))].map(({ object, intact }) => intact && object),
    [first, second],
  );
});

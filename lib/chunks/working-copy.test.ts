import assert from 'node:assert/strict';
import { rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { CorruptionError } from '../codec/bytes.js';
import { AbsentObjects } from './absent-objects.js';
import { anyOps, applyOp, checkContent, ModelContent } from './content-model.test-support.js';
import type { ContentOp } from './content-model.test-support.js';
import {
  randomBytes,
  skipUnlessRoot,
  temporaryDirectory,
  temporaryStore,
  tinyFilesystem,
  tmpfsDirectory,
} from './chunks-fixture.test-support.js';
import { LocalFile } from './local-file.js';
import { decodeManifest, encodeManifest, NO_HOLES } from './manifest.js';
import type { Extent, Manifest } from './manifest.js';
import { makeVersion } from './new-version.js';
import { ObjectKind } from './object-kind.js';
import type { ObjectStore } from './object-store.js';
import { RangeSet } from './range-set.js';
import { SmallContent } from './small-content.js';
import { WorkingCopy } from './working-copy.js';

const LIMIT = 500_000;

interface Base {
  readonly id: string;
  readonly manifest: Manifest;
  readonly bytes: Buffer;
}

/** A version with chunks and holes: 70,000 data, 100,000 hole, 60,000 data, 30,000 data, 66,000 hole. */
function storeBase(store: ObjectStore): Base {
  const parts = [randomBytes(70_000, 1), 100_000, randomBytes(60_000, 2), randomBytes(30_000, 3), 66_000];
  const extents: Extent[] = [];
  let offset = 0;
  for (const part of parts) {
    const length = typeof part === 'number' ? part : part.length;
    extents.push({ offset, length, chunk: typeof part === 'number' ? null : store.put(ObjectKind.chunk, part) });
    offset += length;
  }
  const manifest = { size: offset, extents, inline: null, holes: NO_HOLES };
  const bytes = Buffer.concat(parts.map((part) => (typeof part === 'number' ? Buffer.alloc(part) : part)));
  return { id: store.put(ObjectKind.manifest, encodeManifest(manifest)), manifest, bytes };
}

/** What an ingest worker does, in this thread. */
function publish(copy: WorkingCopy, store: ObjectStore): Manifest {
  const job = copy.job(1);
  const changed = new RangeSet();
  for (let i = 0; i < job.changed.length; i += 2) changed.insert(job.changed[i]!, job.changed[i + 1]!);
  const base = job.base && decodeManifest(Buffer.from(job.base));
  changed.insert(base?.size ?? 0, Infinity);
  const file = LocalFile.open(job.path);
  try {
    const made = makeVersion({ file, size: job.size, base, changed, objects: store }, store);
    const manifest = decodeManifest(made.manifest);
    copy.published(made.manifestId, manifest);
    return manifest;
  } finally {
    file.close();
  }
}

let copies = 0;

function bytesOf(copy: WorkingCopy, offset: number, length: number): Buffer {
  const bytes = Buffer.alloc(length);
  return bytes.subarray(0, copy.read(offset, length, bytes, 0));
}

function runOps(
  directory: string,
  store: ObjectStore,
  start: () => WorkingCopy,
  bytes: Buffer,
  ops: readonly ContentOp[],
) {
  const model = new ModelContent(Buffer.from(bytes), LIMIT);
  let copy = start();
  try {
    for (const op of ops) {
      if (model.outgrows(op)) continue;
      if (op.op === 'reopen') {
        const state = copy.state();
        copy.close();
        copy = WorkingCopy.restore(copy.path, state, store);
      } else if (op.op === 'publish') {
        publish(copy, store);
      }
      assert.equal(applyOp(copy, op), model.apply(op), JSON.stringify(op));
      checkContent(copy, model.bytes);
    }
    const manifest = publish(copy, store);
    const fresh = WorkingCopy.create(join(directory, `fresh-${copies++}`), copy.baseId!, manifest, store);
    checkContent(fresh, model.bytes);
    fresh.remove();
  } finally {
    copy.remove();
  }
}

test('a working copy over a version does what a plain buffer does, across restarts and new versions', (t) => {
  const { store } = temporaryStore(t);
  const directory = temporaryDirectory(t);
  const { id, manifest, bytes } = storeBase(store);
  fc.assert(
    fc.property(anyOps(LIMIT), (ops) => {
      const start = () => WorkingCopy.create(join(directory, `copy-${copies++}`), id, manifest, store);
      runOps(directory, store, start, bytes, ops);
    }),
    { numRuns: 60 },
  );
});

test('a spilled file does what a plain buffer does', (t) => {
  const { store } = temporaryStore(t);
  const directory = temporaryDirectory(t);
  fc.assert(
    fc.property(fc.nat(60_000), anyOps(LIMIT), (length, ops) => {
      const start = () => {
        const small = new SmallContent();
        small.truncate(length);
        small.write(length >> 1, randomBytes(length >> 2, 1));
        return WorkingCopy.spill(join(directory, `copy-${copies++}`), small, store);
      };
      const bytes = Buffer.alloc(Math.max(length, (length >> 1) + (length >> 2)));
      randomBytes(length >> 2, 1).copy(bytes, length >> 1);
      runOps(directory, store, start, bytes, ops);
    }),
    { numRuns: 40 },
  );
});

test('a filesystem without all of fallocate (tmpfs) gives the same', (t) => {
  const { store } = temporaryStore(t);
  const directory = tmpfsDirectory(t);
  const { id, manifest, bytes } = storeBase(store);
  fc.assert(
    fc.property(anyOps(LIMIT), (ops) => {
      const start = () => WorkingCopy.create(join(directory, `copy-${copies++}`), id, manifest, store);
      runOps(directory, store, start, bytes, ops);
    }),
    { numRuns: 40 },
  );
});

test('after a crash, a log of what was done brings everything back', (t) => {
  const { store } = temporaryStore(t);
  const directory = temporaryDirectory(t);
  const { id, manifest, bytes } = storeBase(store);
  fc.assert(
    fc.property(anyOps(LIMIT), fc.nat(), (ops, where) => {
      const model = new ModelContent(Buffer.from(bytes), LIMIT);
      const path = join(directory, `copy-${copies++}`);
      const copy = WorkingCopy.create(path, id, manifest, store);
      const stateAfter = where % (ops.length + 1);
      let state: Buffer | undefined;
      const log: ContentOp[] = [];
      for (const [i, op] of ops.entries()) {
        if (i === stateAfter) {
          state = Buffer.from(copy.state());
          log.length = 0;
        }
        if (model.outgrows(op)) continue;
        if (applyOp(copy, op) === undefined) log.push(op);
        model.apply(op);
      }
      copy.close();
      const back = state ? WorkingCopy.restore(path, state, store) : WorkingCopy.reopen(path, id, manifest, store);
      for (const op of log) {
        if (op.op === 'write' && op.length > 0) back.adopt(op.offset, op.length);
        if (op.op === 'truncate') back.adoptTruncate(op.size);
        if (op.op === 'fallocate') back.adoptFallocate(op.mode, op.offset, op.length);
      }
      checkContent(back, model.bytes);
      publish(back, store);
      checkContent(back, model.bytes);
      back.remove();
    }),
    { numRuns: 60 },
  );
});

test('a spilled file is whole after a crash', (t) => {
  const { store } = temporaryStore(t);
  const path = join(temporaryDirectory(t), 'copy');
  const copy = WorkingCopy.spill(path, new SmallContent(randomBytes(50_000, 1)), store);
  copy.write(60_000, randomBytes(50_000, 2));
  copy.sync();
  copy.close();
  const back = WorkingCopy.adoptSpilled(path, store);
  checkContent(back, Buffer.concat([randomBytes(50_000, 1), Buffer.alloc(10_000), randomBytes(50_000, 2)]));
  back.remove();
});

test('the first write does not copy the base, and does not need it', (t) => {
  const { store } = temporaryStore(t);
  const elsewhere = temporaryStore(t).store;
  const { id, manifest, bytes } = storeBase(elsewhere);
  const copy = WorkingCopy.create(join(temporaryDirectory(t), 'copy'), id, manifest, store);
  copy.write(1000, Buffer.from('here'));
  assert.ok(statSync(copy.path).blocks <= 8);
  assert.equal(copy.size, bytes.length);
  const into = Buffer.alloc(4);
  assert.equal(copy.read(1000, 4, into, 0), 4);
  assert.equal(into.toString(), 'here');
  assert.throws(
    () => copy.read(0, bytes.length, Buffer.alloc(bytes.length), 0),
    (error) => error instanceof AbsentObjects && error.ids.length === 3,
  );
  assert.throws(() => copy.fallocate(8, 4096, 4096), AbsentObjects);
  assert.equal(copy.size, bytes.length);
  for (const seed of [1, 2, 3]) store.put(ObjectKind.chunk, randomBytes([0, 70_000, 60_000, 30_000][seed]!, seed));
  copy.fallocate(8, 4096, 4096);
  bytes.write('here', 1000);
  checkContent(copy, Buffer.concat([bytes.subarray(0, 4096), bytes.subarray(8192)]));
  copy.remove();
});

test('what changes while a version is made belongs to the next one', (t) => {
  const { store } = temporaryStore(t);
  const { id, manifest, bytes } = storeBase(store);
  const copy = WorkingCopy.create(join(temporaryDirectory(t), 'copy'), id, manifest, store);
  copy.write(10, Buffer.from('first'));
  const job = copy.job(7);
  assert.deepEqual(job.changed, [10, 15]);
  assert.throws(() => copy.job(8), /has a job already/);
  copy.write(20, Buffer.from('second'));
  const during = WorkingCopy.restore(copy.path, copy.state(), store);
  assert.deepEqual(during.job(1).changed, [10, 15, 20, 26]);
  during.close();
  copy.unpublished();
  assert.deepEqual(copy.job(8).changed, [10, 15, 20, 26]);
  copy.unpublished();
  publish(copy, store);
  assert.deepEqual(copy.job(9).changed, []);
  copy.unpublished();
  bytes.write('first', 10);
  bytes.write('second', 20);
  checkContent(copy, bytes);
  copy.remove();
});

test('a truncation while a version is made, then growth, leaves no old bytes when the job fails', (t) => {
  const { store } = temporaryStore(t);
  const { id, manifest, bytes } = storeBase(store);
  const copy = WorkingCopy.create(join(temporaryDirectory(t), 'copy'), id, manifest, store);
  copy.truncate(5000);
  copy.job(1);
  copy.write(50_000, Buffer.from('far'));
  copy.unpublished();
  publish(copy, store);
  const expected = Buffer.alloc(50_003);
  bytes.copy(expected, 0, 0, 5000);
  expected.write('far', 50_000);
  checkContent(copy, expected);
  copy.remove();
});

test('blocks are those of the base and of the local file', (t) => {
  const { store } = temporaryStore(t);
  const { id, manifest } = storeBase(store);
  const copy = WorkingCopy.create(join(temporaryDirectory(t), 'copy'), id, manifest, store);
  assert.equal(copy.blocks(), Math.ceil(160_000 / 512));
  copy.fallocate(3, 0, 70_000);
  assert.equal(copy.blocks(), Math.ceil(90_000 / 512));
  copy.truncate(0);
  assert.equal(copy.blocks(), 0);
  copy.truncate(2 ** 40);
  assert.equal(copy.blocks(), 0);
  copy.write(2 ** 39, Buffer.alloc(4096, 1));
  assert.equal(copy.blocks(), 8);
  assert.equal(copy.seekData(0), 2 ** 39);
  assert.equal(copy.seekHole(2 ** 39), 2 ** 39 + 4096);
  copy.remove();
});

test('a byte written alone into a hole of the version before is found at itself, not at its block', (t) => {
  const { store } = temporaryStore(t);
  const extents = [{ offset: 0, length: 2 ** 31, chunk: null }];
  const manifest = { size: 2 ** 31, extents, inline: null, holes: NO_HOLES };
  const id = store.put(ObjectKind.manifest, encodeManifest(manifest));
  const copy = WorkingCopy.create(join(temporaryDirectory(t), 'copy'), id, manifest, store);
  copy.write(5 * 4096 + 100, Buffer.from('z'));
  copy.write(2 ** 31 - 2, Buffer.from('z'));
  assert.equal(copy.seekData(0), 5 * 4096);
  assert.equal(copy.seekData(5 * 4096 + 200), 5 * 4096 + 200); // in a block with data
  assert.equal(copy.seekHole(5 * 4096), 6 * 4096);
  assert.equal(copy.seekHole(5 * 4096 + 200), 6 * 4096);
  assert.equal(copy.seekHole(7), 7);
  assert.equal(copy.seekData(6 * 4096), 2 ** 31 - 4096);
  assert.equal(copy.seekHole(2 ** 31 - 4096), 2 ** 31);
  copy.remove();
});

test('a file larger than files can be gives EFBIG, and stays as it was', (t) => {
  const { store } = temporaryStore(t);
  // Of ext4, which ends at 16 TiB, or another; and tmpfs, which ends where offsets do.
  for (const directory of [temporaryDirectory(t), tmpfsDirectory(t)]) {
    const copy = WorkingCopy.spill(join(directory, 'copy'), new SmallContent(), store);
    const tooFar = { code: 'EFBIG' };
    const size = 2 ** 43;
    copy.truncate(size);
    for (const end of [2 ** 53, 2 ** 60, 2 ** 63 - 1024]) {
      assert.throws(() => copy.truncate(end), tooFar);
      assert.throws(() => copy.write(end - 1, Buffer.of(1)), tooFar);
      assert.throws(() => copy.fallocate(0, end - 1024, 1024), tooFar);
      assert.equal(copy.size, size);
    }
    assert.throws(() => copy.fallocate(32, 4096, 2 ** 53 - 4096), tooFar);
    copy.remove();
  }
});

test('a write across the end of the longest file of the local filesystem writes nothing', (t) => {
  const { store } = temporaryStore(t);
  const copy = WorkingCopy.spill(join(temporaryDirectory(t), 'copy'), new SmallContent(), store);
  const end = 2 ** 44 - 4096;
  copy.truncate(end - 2);
  try {
    copy.write(end - 4, Buffer.alloc(8, 1));
    assert.equal(copy.size, end + 4, 'not ext4');
  } catch (error) {
    assert.equal((error as { code: string }).code, 'EFBIG');
    assert.equal(copy.size, end - 2);
    assert.deepEqual(bytesOf(copy, end - 4, 2), Buffer.alloc(2));
  }
  copy.remove();
});

test('where the local filesystem has them, files are up to 8 PiB - 1 byte long', (t) => {
  const { store } = temporaryStore(t);
  const path = join(tmpfsDirectory(t), 'copy');
  const copy = WorkingCopy.spill(path, new SmallContent(), store);
  const size = Number.MAX_SAFE_INTEGER;
  copy.write(2 ** 50, Buffer.from('middle'));
  copy.write(size - 3, Buffer.from('end'));
  assert.equal(copy.size, size);
  assert.equal(bytesOf(copy, 2 ** 50, 6).toString(), 'middle');
  assert.equal(bytesOf(copy, size - 3, 10).toString(), 'end');
  assert.equal(copy.seekData(0), 2 ** 50);
  assert.equal(copy.seekHole(2 ** 50), 2 ** 50 + 4096);
  assert.equal(copy.seekData(2 ** 50 + 4096), 2 ** 53 - 4096);
  assert.equal(copy.seekHole(2 ** 53 - 4096), size);
  assert.equal(copy.blocks(), 16);
  copy.close();
  const again = WorkingCopy.adoptSpilled(path, store);
  assert.equal(again.size, size);
  again.remove();
});

test('a full disk gives ENOSPC and leaves the content as it was', { skip: skipUnlessRoot }, (t) => {
  const { store } = temporaryStore(t);
  const path = join(tinyFilesystem(t, 256 << 10), 'copy');
  const copy = WorkingCopy.spill(path, new SmallContent(randomBytes(5000, 1)), store);
  const full = { code: 'ENOSPC' };
  assert.throws(() => copy.write(4000, randomBytes(500_000, 2)), full);
  assert.equal(copy.size, 5000);
  assert.throws(() => copy.fallocate(0, 0, 1 << 20), full);
  assert.equal(copy.size, 5000);
  const head = Buffer.alloc(4000);
  copy.read(0, 4000, head, 0);
  assert.deepEqual(head, randomBytes(5000, 1).subarray(0, 4000));
  copy.remove();
});

test('a state that is damaged, or whose file is gone, is refused', (t) => {
  const { store } = temporaryStore(t);
  const { id, manifest } = storeBase(store);
  const path = join(temporaryDirectory(t), 'copy');
  const copy = WorkingCopy.create(path, id, manifest, store);
  copy.write(5, Buffer.from('x'));
  const state = Buffer.from(copy.state());
  copy.close();
  for (let length = 0; length < state.length; length++) {
    assert.throws(() => WorkingCopy.restore(path, state.subarray(0, length), store), CorruptionError);
  }
  rmSync(path);
  assert.throws(() => WorkingCopy.restore(path, state, store), /copy is gone/);
});

import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { randomBytes, temporaryDirectory, temporaryStore } from './chunks-fixture.test-support.js';
import { LocalFile } from './local-file.js';
import { readManifest } from './manifest-reader.js';
import { blocksOf, decodeManifest, LONG_HOLE_BYTES, MAX_SHORT_HOLES, nextData, nextHole } from './manifest.js';
import type { Manifest } from './manifest.js';
import { makeVersion } from './new-version.js';
import { ObjectKind } from './object-kind.js';
import type { ObjectStore } from './object-store.js';
import { RangeSet } from './range-set.js';
import { SmallContent } from './small-content.js';
import { WorkingCopy } from './working-copy.js';

/** The version that a file of these bytes gives, cut as a whole. */
function fromScratch(path: string, bytes: Buffer, store: ObjectStore): { manifestId: string; manifest: Manifest } {
  writeFileSync(path, bytes);
  const changed = new RangeSet();
  changed.insert(0, Infinity);
  const file = LocalFile.open(path);
  const made = makeVersion({ file, size: bytes.length, base: null, changed, objects: store }, store);
  file.remove();
  return { manifestId: made.manifestId, manifest: decodeManifest(made.manifest) };
}

/** The version that a working copy gives, with what was put for it. */
function fromCopy(copy: WorkingCopy, store: ObjectStore) {
  const job = copy.job(1);
  const base = job.base && decodeManifest(Buffer.from(job.base));
  const changed = new RangeSet();
  for (let i = 0; i < job.changed.length; i += 2) changed.insert(job.changed[i]!, job.changed[i + 1]!);
  changed.insert(base?.size ?? 0, Infinity);
  const file = LocalFile.open(job.path);
  const put: number[] = [];
  let bytesRead = 0;
  const objects = {
    has: (id: string) => store.has(id),
    get: (id: string) => {
      const bytes = store.get(id);
      bytesRead += bytes.length;
      return bytes;
    },
  };
  const sink = {
    put: (kind: ObjectKind, bytes: Uint8Array) => {
      put.push(bytes.length);
      return store.put(kind, bytes);
    },
  };
  const made = makeVersion({ file, size: job.size, base, changed, objects }, sink);
  file.close();
  const manifest = decodeManifest(made.manifest);
  copy.published(made.manifestId, manifest);
  return { manifestId: made.manifestId, manifest, put, bytesRead };
}

const SIZE = 3 << 20;

test('a version made from changes is the one that cutting the whole file gives', (t) => {
  const { store } = temporaryStore(t);
  const directory = temporaryDirectory(t);
  const original = randomBytes(SIZE, 1);
  const base = fromScratch(join(directory, 'base'), original, store);
  const edit = fc.record({
    offset: fc.nat(SIZE + 100_000),
    length: fc.integer({ min: 1, max: 60_000 }),
    seed: fc.nat(),
  });
  const size = fc.option(fc.integer({ min: 70_000, max: SIZE }), { nil: undefined });
  let run = 0;
  fc.assert(
    fc.property(fc.array(fc.array(edit, { maxLength: 4 }), { maxLength: 3 }), size, (rounds, cutTo) => {
      const path = join(directory, `copy-${run++}`);
      const copy = WorkingCopy.create(path, base.manifestId, base.manifest, store);
      let bytes = Buffer.from(original);
      for (const round of rounds) {
        for (const { offset, length, seed } of round) {
          const at = Math.min(offset, copy.size); // without a gap: a gap would be a hole
          copy.write(at, randomBytes(length, seed));
          bytes = Buffer.concat([bytes.subarray(0, at), randomBytes(length, seed), bytes.subarray(at + length)]);
        }
        if (cutTo !== undefined && cutTo < bytes.length) {
          copy.truncate(cutTo);
          bytes = bytes.subarray(0, cutTo);
        }
        const made = fromCopy(copy, store);
        assert.equal(made.manifestId, fromScratch(join(directory, 'whole'), bytes, store).manifestId);
      }
      copy.remove();
    }),
    { numRuns: 12 },
  );
});

test('one byte changed in a large file costs a few chunks', (t) => {
  const { store } = temporaryStore(t);
  const directory = temporaryDirectory(t);
  const base = fromScratch(join(directory, 'base'), randomBytes(48 << 20, 1), store);
  const copy = WorkingCopy.create(join(directory, 'copy'), base.manifestId, base.manifest, store);
  copy.write(20_000_000, Buffer.of(1));
  const { put, bytesRead } = fromCopy(copy, store);
  const written = put.reduce((sum, length) => sum + length, 0);
  assert.ok(written + bytesRead < 4 << 20, `${written} bytes written, ${bytesRead} read`);
  copy.remove();
});

test('holes stay holes, short ones beside the chunks', (t) => {
  const { store } = temporaryStore(t);
  const copy = WorkingCopy.spill(join(temporaryDirectory(t), 'copy'), new SmallContent(), store);
  const data = randomBytes(100_000, 1);
  copy.write(4096, data.subarray(0, 4096)); // a short hole before it
  copy.write(1 << 20, data);
  copy.truncate(3 << 20);
  const { manifest } = fromCopy(copy, store);
  assert.deepEqual(
    manifest.extents.map(({ offset, length, chunk }) => [offset, length, chunk === null]),
    [
      [0, 8192, false],
      [8192, (1 << 20) - 8192, true],
      [1 << 20, 102_400, false],
      [(1 << 20) + 102_400, (2 << 20) - 102_400, true],
    ],
  );
  assert.deepEqual(manifest.holes, [0, 4096]);
  const into = Buffer.alloc(3 << 20);
  readManifest(store, manifest, 0, 3 << 20, into, 0);
  assert.deepEqual(into.subarray(1 << 20, (1 << 20) + data.length), data);

  // A hole punched beside the base's, and data written into it.
  copy.fallocate(3, 0, 1 << 20);
  copy.write((1 << 20) - 4096, Buffer.alloc(4096, 7));
  assert.deepEqual(
    fromCopy(copy, store).manifest.extents.map(({ length, chunk }) => [length, chunk === null]),
    [
      [(1 << 20) - 4096, true],
      [106_496, false],
      [(2 << 20) - 102_400, true],
    ],
  );
  copy.remove();
});

test('a file without data is one hole, however large', (t) => {
  const { store } = temporaryStore(t);
  const copy = WorkingCopy.spill(join(temporaryDirectory(t), 'copy'), new SmallContent(), store);
  copy.truncate(2 ** 43);
  const { manifest, put } = fromCopy(copy, store);
  assert.deepEqual(manifest.extents, [{ offset: 0, length: 2 ** 43, chunk: null }]);
  assert.equal(put.length, 1);
  copy.truncate(LONG_HOLE_BYTES);
  assert.equal(fromCopy(copy, store).manifest.extents.length, 1);
  copy.truncate(100);
  const small = fromCopy(copy, store).manifest;
  assert.deepEqual(small.inline, Buffer.alloc(100));
  assert.deepEqual(small.holes, [0, 100]);
  copy.remove();
});

test('whatever was written, punched and cut off, a version has each block as a hole that was never written since', (t) => {
  const { store } = temporaryStore(t);
  const directory = temporaryDirectory(t);
  const BLOCKS = 120;
  const step = fc.record({
    what: fc.constantFrom('write', 'write', 'punch', 'truncate'),
    at: fc.nat(BLOCKS),
    count: fc.nat(20),
  });
  let run = 0;
  fc.assert(
    fc.property(fc.array(fc.array(step, { minLength: 1, maxLength: 6 }), { minLength: 1, maxLength: 4 }), (rounds) => {
      const copy = WorkingCopy.spill(join(directory, `copy-${run++}`), new SmallContent(), store);
      let data: boolean[] = [];
      for (const round of rounds) {
        for (const { what, at, count } of round) {
          if (what === 'truncate') {
            copy.truncate(at * 4096);
            data = Array.from({ length: at }, (_, i) => data[i] ?? false);
          } else if (count > 0) {
            if (what === 'write') copy.write(at * 4096, randomBytes(count * 4096, at));
            else copy.fallocate(3, at * 4096, count * 4096);
            for (let i = at; i < at + count; i++) if (what === 'write' || i < data.length) data[i] = what === 'write';
            data = Array.from(data, (isData) => isData ?? false);
          }
        }
        const { manifest } = fromCopy(copy, store);
        assert.equal(manifest.size, data.length * 4096);
        assert.equal(blocksOf(manifest), data.filter(Boolean).length * 8);
        for (const [i, isData] of data.entries()) {
          assert.equal(nextData(manifest, i * 4096) === i * 4096, isData, `block ${i}`);
          assert.equal(nextHole(manifest, i * 4096 + 1) === i * 4096 + 1, !isData, `block ${i}`);
        }
      }
      copy.remove();
    }),
    { numRuns: 60 },
  );
});

test('a file of very many holes has no more chunks than a dense one, and keeps its longer holes', (t) => {
  const { store } = temporaryStore(t);
  const path = join(temporaryDirectory(t), 'file');
  const size = (MAX_SHORT_HOLES + 1000) * 8192;
  // Data of no blocks at all: what the file says of itself is all that counts here.
  writeFileSync(path, '');
  const real = LocalFile.open(path);
  const longer = 80_000 * 8192;
  const isHole = (block: number): boolean => block % 2 === 0 || (block >= longer / 4096 && block < longer / 4096 + 5);
  const next = (at: number, wanted: boolean): number => {
    let block = Math.floor(at / 4096);
    if (isHole(block) === wanted) return at;
    while (isHole(block) !== wanted) block++;
    return block * 4096 < size ? block * 4096 : wanted ? size : -1;
  };
  const file = Object.assign(Object.create(real) as LocalFile, {
    nextHole: (at: number) => next(at, true),
    nextData: (at: number) => next(at, false),
    read: (from: number, to: number, into: Buffer, at: number) => void into.fill(from % 251, at, at + to - from),
  });
  const changed = new RangeSet();
  changed.insert(0, Infinity);
  let chunks = 0;
  const sink = { put: (kind: ObjectKind, bytes: Uint8Array) => (chunks++, store.put(kind, bytes)) };
  const manifest = decodeManifest(makeVersion({ file, size, base: null, changed, objects: store }, sink).manifest);
  real.remove();
  assert.ok(chunks < size / 65_536, `${chunks} chunks`);
  assert.deepEqual(manifest.holes, [longer, longer + 5 * 4096]);
});

test('a sparse file that is cut off while a version of it is made holds up no other: what is missing is a hole, not terabytes of zeros', (t) => {
  const { store } = temporaryStore(t);
  const path = join(temporaryDirectory(t), 'file');
  const data = randomBytes(100_000, 7);
  for (const left of [0, data.length]) {
    writeFileSync(path, data.subarray(0, left));
    const file = LocalFile.open(path);
    const changed = new RangeSet();
    changed.insert(0, Infinity);
    const size = 2 ** 44 - 4096;
    const manifest = decodeManifest(makeVersion({ file, size, base: null, changed, objects: store }, store).manifest);
    file.remove();
    assert.equal(manifest.size, size);
    assert.ok(manifest.extents.length < 10, `${manifest.extents.length} extents`);
    assert.equal(nextData(manifest, 102_400), -1);
    if (left === 0) assert.equal(blocksOf(manifest), 0);
  }
});

test('a small file that is cut off while it is read cannot be made a version of', (t) => {
  const { store } = temporaryStore(t);
  const size = 4_500;
  const file = LocalFile.create(join(temporaryDirectory(t), 'file'), 0);
  file.write(0, Buffer.alloc(size, 'x'));
  const read = file.read.bind(file);
  t.mock.method(file, 'read', (...range: Parameters<LocalFile['read']>) => {
    read(...range);
    file.truncate(0);
    file.truncate(size);
  });
  const changed = new RangeSet();
  changed.insert(0, Infinity);
  const made = decodeManifest(makeVersion({ file, size, base: null, changed, objects: store }, store).manifest);
  assert.ok(made.inline!.equals(Buffer.alloc(size, 'x')));
  assert.deepEqual(made.holes, []);
  file.remove();
});

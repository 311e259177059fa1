import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { ROOT_INO } from '../crdt/ids.js';
import { USER, VolumeFixture } from './volume-fixture.test-support.js';

const O_RDWR = 2;
const SEEK_DATA = 3;
const SEEK_HOLE = 4;
const PUNCH_HOLE = 3;
const BLOCK = 4096;
/** Of a file of ext4. */
const EXTENTS_IN_INODE = 4;

function site(t: TestContext): VolumeFixture {
  const fixture = VolumeFixture.create();
  t.after(() => fixture.remove());
  return fixture;
}

/** Where a file has data, and st_blocks. */
function layout(fixture: VolumeFixture, path: string): { data: [number, number][]; blocks: number; size: number } {
  const ino = fixture.resolve(path);
  const { size, blocks } = fixture.volume.files.getattr(ino);
  const { handle } = fixture.volume.files.open(ino, 0, false, USER);
  const data: [number, number][] = [];
  try {
    for (let at = 0; at < size;) {
      const from = fixture.volume.files.lseek(handle, at, SEEK_DATA);
      const to = fixture.volume.files.lseek(handle, from, SEEK_HOLE);
      data.push([from, to]);
      at = to;
    }
  } catch (error) {
    if ((error as { code?: string }).code !== 'ENXIO') throw error;
  }
  fixture.volume.files.release(handle);
  return { data, blocks, size };
}

/** Runs of data, as they are written, and a size. */
interface Layout {
  readonly data: readonly (readonly [number, number])[];
  readonly size: number;
}

const LAYOUTS: Record<string, Layout> = {
  'nothing-but-a-hole': { data: [], size: 100 },
  'a-block-before-data': { data: [[BLOCK, 2 * BLOCK]], size: 2 * BLOCK },
  'small-with-three-holes': {
    data: [
      [BLOCK, 2 * BLOCK],
      [5 * BLOCK, 6 * BLOCK],
    ],
    size: 40_001,
  },
  // What CPython's test_tarfile has: 4 KiB of data after each 8 KiB of nothing.
  'an-unpacked-sparse-archive': {
    data: Array.from({ length: 7 }, (_, i) => [(3 * i + 2) * BLOCK, (3 * i + 3) * BLOCK] as const),
    size: 86_016,
  },
  'large-with-short-and-long-holes': {
    data: [
      [0, 100 * BLOCK],
      [101 * BLOCK, 102 * BLOCK],
      [300 * BLOCK, 800 * BLOCK],
      [815 * BLOCK, 816 * BLOCK],
    ],
    size: 900 * BLOCK + 5,
  },
};

function make(fixture: VolumeFixture, name: string, { data, size }: Layout): number {
  const { opened } = fixture.volume.files.create(ROOT_INO, name, 0o644, O_RDWR, 0o022, USER);
  for (const [from, to] of data) {
    for (let at = from; at < to; at += 1 << 20)
      fixture.volume.files.write(opened.handle, at, Buffer.alloc(Math.min(to - at, 1 << 20), 7), false);
  }
  fixture.volume.files.setattr(fixture.resolve(name), { size }, USER, opened.handle);
  return opened.handle;
}

function expected({ data, size }: Layout) {
  return { data, size, blocks: data.reduce((sum, [from, to]) => sum + (to - from) / 512, 0) };
}

function assertLayouts(fixture: VolumeFixture, when: string): void {
  for (const [name, wanted] of Object.entries(LAYOUTS)) {
    assert.deepEqual(layout(fixture, name), expected(wanted), `${name}, ${when}`);
  }
}

test('a sparse file has the same holes and st_blocks after it was closed, at another site, and after a restart', async (t) => {
  const a = site(t);
  const b = await a.join();
  t.after(() => b.remove());
  for (const [name, wanted] of Object.entries(LAYOUTS)) a.volume.files.release(make(a, name, wanted));
  assertLayouts(a, 'written');
  await a.publish();
  assertLayouts(a, 'published');
  await a.sendTo(b);
  assertLayouts(b, 'at the other site');
  a.reopen();
  assertLayouts(a, 'mounted again');
  a.crash();
  assertLayouts(a, 'after a crash');
  for (const name of Object.keys(LAYOUTS)) assert.deepEqual(b.read(name), a.read(name));
});

test('a sparse file that was being written has its holes after a crash and after a restart', async (t) => {
  const a = site(t);
  for (const [name, wanted] of Object.entries(LAYOUTS)) make(a, name, wanted);
  a.volume.fold();
  a.crash();
  for (const [name, wanted] of Object.entries(LAYOUTS)) {
    const { blocks, ...found } = layout(a, name);
    const { blocks: least, ...holes } = expected(wanted);
    assert.deepEqual(found, holes, name);
    // A working copy has the blocks of a local file. Once ext4 has written it back, more than four extents cost it one for their tree.
    const allowed = wanted.data.length > EXTENTS_IN_INODE ? [least, least + BLOCK / 512] : [least];
    assert.ok(allowed.includes(blocks), `${name} has ${blocks} blocks of 512 bytes, not ${allowed.join(' or ')}`);
  }
  for (const name of Object.keys(LAYOUTS)) {
    const { handle } = a.volume.files.open(a.resolve(name), O_RDWR, false, USER);
    a.volume.files.write(handle, 0, Buffer.alloc(BLOCK, 8), false);
  }
  a.reopen();
  for (const [name, { data }] of Object.entries(LAYOUTS)) {
    const { data: now } = layout(a, name);
    const last = data.at(-1);
    assert.equal(now[0]![0], 0, name);
    if (last && data.length > 1) assert.deepEqual(now.at(-1), last, name);
  }
});

test('what is written into a hole of a file, or punched into its data, leaves its other holes', async (t) => {
  const a = site(t);
  const b = await a.join();
  t.after(() => b.remove());
  for (const [name, wanted] of Object.entries(LAYOUTS)) a.volume.files.release(make(a, name, wanted));
  await a.publish();
  for (const name of ['small-with-three-holes', 'an-unpacked-sparse-archive']) {
    const before = expected(LAYOUTS[name]!);
    const { handle } = a.volume.files.open(a.resolve(name), O_RDWR, false, USER);
    a.volume.files.write(handle, 10, Buffer.from('into the first hole'), false);
    a.volume.files.fallocate(handle, PUNCH_HOLE, 5 * BLOCK, BLOCK);
    a.volume.files.release(handle);
    await a.sendTo(b);
    const data: [number, number][] = [[0, BLOCK]];
    for (const [from, to] of before.data) {
      if (from === 5 * BLOCK) continue;
      if (data.at(-1)![1] === from) data.at(-1)![1] = to;
      else data.push([from, to]);
    }
    for (const fixture of [a, b])
      assert.deepEqual(layout(fixture, name), { ...before, data }, `${name}: ${fixture.siteId}`);
  }
});

test('a copy that lost a conflict has the holes and st_blocks of its version', async (t) => {
  const a = site(t);
  const b = await a.join();
  t.after(() => b.remove());
  a.write('file', 'base');
  await a.sendTo(b);
  for (const [fixture, name] of [
    [a, 'small-with-three-holes'],
    [b, 'an-unpacked-sparse-archive'],
  ] as const) {
    const { handle } = fixture.volume.files.open(fixture.resolve('file'), O_RDWR | 0o1000, false, USER);
    const { data, size } = LAYOUTS[name]!;
    for (const [from, to] of data) fixture.volume.files.write(handle, from, Buffer.alloc(to - from, 7), false);
    fixture.volume.files.setattr(fixture.resolve('file'), { size }, USER, handle);
    fixture.volume.files.release(handle);
  }
  await a.mergeWith(b);
  const names = a.list('');
  assert.equal(names.length, 2);
  const layouts = names.map((name) => layout(a, name));
  for (const name of ['small-with-three-holes', 'an-unpacked-sparse-archive']) {
    const wanted = expected(LAYOUTS[name]!);
    assert.ok(
      layouts.some(
        (one) =>
          JSON.stringify(one) === JSON.stringify({ data: wanted.data, blocks: wanted.blocks, size: wanted.size }),
      ),
    );
  }
  // A copy that becomes a file of its own.
  const copy = names.find((name) => name !== 'file')!;
  const before = layout(a, copy);
  a.volume.files.setattr(a.resolve(copy), { mode: 0o600 }, USER, undefined);
  a.volume.fold();
  assert.deepEqual(layout(a, copy), before);
});

test('a merge of two versions of a sparse file has the holes of both, and st_blocks of its own', async (t) => {
  const a = site(t);
  const b = await a.join();
  t.after(() => b.remove());
  const names = ['small-with-three-holes', 'an-unpacked-sparse-archive', 'large-with-short-and-long-holes'];
  for (const name of names) a.volume.files.release(make(a, name, LAYOUTS[name]!));
  for (const name of names)
    a.volume.files.setxattr(a.resolve(name), 'user.weft.merge', Buffer.from('ranges'), 0, false);
  await a.sendTo(b);
  const end = (name: string): number => Math.floor(LAYOUTS[name]!.size / BLOCK) * BLOCK - BLOCK;
  for (const name of names) {
    for (const [fixture, at] of [
      [a, 0],
      [b, end(name)],
    ] as const) {
      const { handle } = fixture.volume.files.open(fixture.resolve(name), O_RDWR, false, USER);
      fixture.volume.files.write(handle, at, Buffer.alloc(BLOCK, 9), false);
      fixture.volume.files.release(handle);
    }
  }
  for (let round = 0; round < 3; round++) await a.mergeWith(b);
  assert.deepEqual(a.list('').toSorted(), names.toSorted());
  for (const name of names) {
    const { data, size } = LAYOUTS[name]!;
    const blocks = new Set([0, end(name) / BLOCK]);
    for (const [from, to] of data) for (let at = from; at < to; at += BLOCK) blocks.add(at / BLOCK);
    for (const fixture of [a, b]) {
      const now = layout(fixture, name);
      assert.deepEqual([now.size, now.blocks], [size, blocks.size * 8], `${name}: ${fixture.siteId}`);
      for (const [from, to] of now.data)
        for (let at = from; at < to; at += BLOCK) assert.ok(blocks.has(at / BLOCK), `${name}: data at ${at}`);
    }
  }
});

test('copy_file_range of a terabyte of hole ends at once, and copies holes as holes', async (t) => {
  const a = site(t);
  const { opened } = a.volume.files.create(ROOT_INO, 'target', 0o644, O_RDWR, 0o022, USER);
  const huge = make(a, 'huge', { data: [[2 ** 40, 2 ** 40 + BLOCK]], size: 2 ** 40 + 2 * BLOCK });
  assert.equal(a.volume.files.copyFileRange(huge, 0, opened.handle, 0, 2 ** 41), 2 ** 40 + 2 * BLOCK);
  for (const [name, wanted] of Object.entries(LAYOUTS)) {
    const source = make(a, name, wanted);
    const path = `copy of ${name}`;
    const target = a.volume.files.create(ROOT_INO, path, 0o644, O_RDWR, 0o022, USER).opened.handle;
    a.volume.files.write(target, 0, Buffer.alloc(30_000, 3), false);
    assert.equal(a.volume.files.copyFileRange(source, 0, target, 0, wanted.size), wanted.size);
    a.volume.files.setattr(a.resolve(path), { size: wanted.size }, USER, target);
    for (const handle of [source, target]) a.volume.files.release(handle);
    assert.deepEqual(a.read(path), a.read(name));
  }
  for (const handle of [huge, opened.handle]) a.volume.files.release(handle);
  await a.publish();
  assert.deepEqual(layout(a, 'target'), layout(a, 'huge'));
  for (const [name, wanted] of Object.entries(LAYOUTS)) {
    if (wanted.size > BLOCK) assert.deepEqual(layout(a, `copy of ${name}`), expected(wanted), name);
  }
});

test('copy_file_range of a gigabyte lets others have their turn: it copies a part', (t) => {
  const a = site(t);
  const source = make(a, 'source', { data: [[0, 40 << 20]], size: 40 << 20 });
  const target = a.volume.files.create(ROOT_INO, 'target', 0o644, O_RDWR, 0o022, USER).opened.handle;
  assert.equal(a.volume.files.copyFileRange(source, 0, target, 0, 40 << 20), 16 << 20);
  for (const handle of [source, target]) a.volume.files.release(handle);
});

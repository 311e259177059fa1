// holes.test.ts — sparse files on real mounts: the same data, holes and st_blocks as on the local filesystem, at the site that wrote
// them, at the other one, and after unmounting and after SIGKILL. Needs root and /dev/fuse.

import assert from 'node:assert/strict';
import { closeSync, fstatSync, ftruncateSync, openSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Cluster } from '../scripts/sites/cluster.js';
import { runChecked } from '../scripts/sites/command.js';
import { filesystemType } from '../scripts/sites/mounts.js';
import { FALLOC, fallocate, lseek, SEEK_DATA, SEEK_HOLE } from './posix/file-calls.js';
import { must } from './posix/libc.js';

const BLOCK = 4096;

/** What is done to an empty file, in blocks. */
interface Recipe {
  readonly written: readonly (readonly [from: number, count: number])[];
  readonly punched?: readonly (readonly [from: number, count: number])[];
  readonly bytes: number;
}

const RECIPES: Readonly<Record<string, Recipe>> = {
  empty: { written: [], bytes: 0 },
  'hole of 100 bytes': { written: [], bytes: 100 },
  'hole of 60000 bytes': { written: [], bytes: 60_000 },
  'hole of 1 TiB': { written: [], bytes: 2 ** 40 },
  'small, hole first': { written: [[1, 1]], bytes: 2 * BLOCK },
  'small, every other block': { written: [0, 2, 4, 6, 8, 10, 12].map((at) => [at, 1] as const), bytes: 14 * BLOCK + 1 },
  'small, punched': { written: [[0, 10]], punched: [[3, 2]], bytes: 10 * BLOCK },
  'large, every third block': {
    written: Array.from({ length: 40 }, (_, i) => [3 * i + 2, 1] as const),
    bytes: 120 * BLOCK + 17,
  },
  'large, punched': {
    written: [[0, 1000]],
    punched: [
      [0, 1],
      [10, 15],
      [100, 16],
      [500, 300],
      [999, 1],
    ],
    bytes: 1000 * BLOCK,
  },
  'an island behind 5 TiB': { written: [[5 * 2 ** 28, 3]], bytes: 5 * 2 ** 40 + 3 * BLOCK },
};

function cook(path: string, { written, punched = [], bytes }: Recipe): void {
  const fd = openSync(path, 'w+');
  for (const [from, count] of written) writeSync(fd, Buffer.alloc(count * BLOCK, 7), 0, count * BLOCK, from * BLOCK);
  for (const [from, count] of punched)
    must('fallocate', fallocate(fd, FALLOC.punchHole | FALLOC.keepSize, from * BLOCK, count * BLOCK));
  ftruncateSync(fd, bytes);
  closeSync(fd);
}

/** Size, st_blocks and the runs of data of every file. ext4 counts a block of its own for more than four runs: that is left out. */
function layouts(directory: string): Record<string, string> {
  return Object.fromEntries(Object.keys(RECIPES).map((name) => [name, layout(join(directory, name))]));
}

function layout(path: string): string {
  const fd = openSync(path, 'r');
  const { size, blocks } = fstatSync(fd);
  let dataBytes = 0;
  const runs: string[] = [];
  for (let at = 0; at < size;) {
    const data = lseek(fd, at, SEEK_DATA);
    if (data < 0) break; // ENXIO
    at = must('lseek', lseek(fd, data, SEEK_HOLE));
    runs.push(`${data}-${at}`);
    dataBytes += at - data;
  }
  closeSync(fd);
  const isExt4 = filesystemType(path) === 'ext4';
  const counted = isExt4 && runs.length > 4 && blocks === dataBytes / 512 + 8 ? blocks - 8 : blocks;
  return `${size} bytes, ${counted} blocks, data: ${runs.join(' ')}`;
}

describe('sparse files', () => {
  const cluster = new Cluster('weft-holes');
  const paris = cluster.addSite('paris');
  const oslo = cluster.addSite('oslo');
  const localDirectory = cluster.scratch('local');
  let local: Record<string, string>;

  before(async () => {
    await paris.create('team');
    await oslo.join(await paris.invite());
    for (const [name, recipe] of Object.entries(RECIPES)) cook(join(localDirectory, name), recipe);
    await runChecked('sync', []); // ext4 counts blocks when it gives them out
    local = layouts(localDirectory);
    for (const [name, recipe] of Object.entries(RECIPES)) cook(join(paris.mountpoint, name), recipe);
  });
  after(() => cluster.close());

  test('have the holes and blocks of the local filesystem, at once and when they are versions', async () => {
    assert.deepEqual(layouts(paris.mountpoint), local);
    await cluster.settle();
    assert.deepEqual(layouts(paris.mountpoint), local);
  });

  test('have them at the other site', () => {
    assert.deepEqual(layouts(oslo.mountpoint), local);
  });

  test('have them after unmounting, and after SIGKILL', async () => {
    await paris.umount();
    await paris.mount();
    assert.deepEqual(layouts(paris.mountpoint), local);
    cook(join(paris.mountpoint, 'small, punched'), RECIPES['small, punched']!);
    cook(join(paris.mountpoint, 'large, punched'), RECIPES['large, punched']!);
    await paris.kill();
    await paris.mount();
    assert.deepEqual(layouts(paris.mountpoint), local);
  });

  test('have them when an old version is restored', async () => {
    for (const name of ['small, punched', 'large, every third block']) {
      const path = join(paris.mountpoint, name);
      writeFileSync(path, 'something else');
      await cluster.settle();
      const { stdout } = await paris.weft(['history', path, '--json']);
      const rows = JSON.parse(stdout) as { version: string | null; size: number }[];
      const old = rows.find(({ version, size }) => version !== null && size === RECIPES[name]!.bytes)!;
      await paris.weft(['restore', `${path}@${old.version}`]);
      await cluster.settle();
      for (const site of [paris, oslo]) assert.equal(layout(join(site.mountpoint, name)), local[name], site.name);
    }
  });

  test('have those that they have on the local filesystem in a copy by cp, and in what tar -S unpacks', async () => {
    const names = Object.keys(RECIPES).filter((name) => !name.includes('TiB'));
    const script = `
      set -e; cd "$1"; shift; mkdir copied untarred
      cp --reflink=auto --sparse=always -a "$@" copied
      tar -cSf archive "$@"; tar -xf archive -C untarred
    `;
    for (const directory of [localDirectory, oslo.mountpoint])
      await runChecked('bash', ['-c', script, 'bash', directory, ...names], { timeoutMs: 60_000 });
    await runChecked('sync', []);
    await cluster.settle();
    for (const name of names.flatMap((one) => [`copied/${one}`, `untarred/${one}`])) {
      const wanted = layout(join(localDirectory, name));
      for (const site of [oslo, paris])
        assert.equal(layout(join(site.mountpoint, name)), wanted, `${name} at ${site.name}`);
    }
  });
});

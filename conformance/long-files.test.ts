// long-files.test.ts — files beyond 16 TiB, where ext4 ends, at a site whose state lies on tmpfs, which has files of any length: written and
// read at the far end, after SIGKILL, after eviction, at a site that reads on demand, and at one on ext4. Needs root and /dev/fuse.

import assert from 'node:assert/strict';
import { mkdirSync, statSync, writeFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { Cluster } from '../scripts/sites/cluster.js';
import { runChecked } from '../scripts/sites/command.js';
import { filesystemType } from '../scripts/sites/mounts.js';
import type { Site } from '../scripts/sites/site.js';
import {
  close,
  FALLOC,
  fallocate,
  fsync,
  ftruncate,
  lseek,
  pread,
  pwrite,
  SEEK_DATA,
  SEEK_HOLE,
} from './posix/file-calls.js';
import { must, outcome } from './posix/libc.js';
import { O_CREAT, O_RDONLY, O_RDWR, open } from './posix/path-calls.js';
import { fstat } from './posix/stat.js';
import { at } from './team.test-support.js';

/** 8 PiB - 1: the largest offset. */
const LONGEST = Number.MAX_SAFE_INTEGER;
const BLOCK = 4096;
const PLACES: readonly number[] = [0, 2 ** 40, 2 ** 44, 2 ** 50, LONGEST - 3];
const PUNCHED = 2 ** 45;

/** Bytes at each of the places, where data is, and the size. */
function content(path: string): string {
  const fd = must('open', open(path, O_RDONLY));
  const bytes = Buffer.alloc(3);
  const lines = [`${fstat(fd).size} bytes, ${fstat(fd).blocks} blocks`];
  for (const place of PLACES) {
    const length = must('pread', pread(fd, bytes, place));
    lines.push(`${place}: ${bytes.toString('latin1', 0, length)}`);
  }
  for (let data = lseek(fd, 0, SEEK_DATA); data >= 0;) {
    const hole = must('lseek', lseek(fd, data, SEEK_HOLE));
    lines.push(`data ${data}-${hole}`);
    data = lseek(fd, hole, SEEK_DATA);
  }
  must('close', close(fd));
  return lines.join('\n');
}

const EXPECTED = [
  `${LONGEST} bytes, ${PLACES.length * 8} blocks`,
  ...PLACES.map((place, i) => `${place}: at${i}`),
  ...PLACES.map((place) => {
    const start = Math.floor(place / BLOCK) * BLOCK;
    return `data ${start}-${Math.min(start + BLOCK, LONGEST)}`;
  }),
].join('\n');

/** The state of a site lies on a tmpfs of its own, which goes with the cluster. */
async function onTmpfs(site: Site): Promise<Site> {
  mkdirSync(site.state);
  await runChecked('mount', ['-t', 'tmpfs', '-o', 'mode=700', 'weft-test', site.state]);
  return site;
}

describe('files longer than ext4 has them', () => {
  const cluster = new Cluster('weft-long-files');
  const paris = cluster.addSite('paris');
  const oslo = cluster.addSite('oslo');

  before(async () => {
    await (await onTmpfs(paris)).create('team');
    await oslo.join(await paris.invite(), ['--content', 'on-demand']);
  });
  after(() => cluster.close());

  test('are written and read up to 8 PiB - 1, and no further', () => {
    const fd = must('open', open(at(paris, 'long'), O_CREAT | O_RDWR, 0o644));
    must('ftruncate', ftruncate(fd, LONGEST));
    for (const [i, place] of PLACES.entries()) must('pwrite', pwrite(fd, `at${i}`, place));
    must('pwrite', pwrite(fd, 'x'.repeat(BLOCK), PUNCHED));
    must('fallocate', fallocate(fd, FALLOC.punchHole | FALLOC.keepSize, PUNCHED, BLOCK));
    // Refused at once, or cut off where the kernel writes by itself.
    for (const offset of [2n ** 53n, 2n ** 60n, 2n ** 63n - 9n])
      assert.match(outcome(pwrite(fd, 'too far', offset)), /^(EFBIG|ok)$/);
    assert.equal(outcome(ftruncate(fd, 2n ** 63n - 1n)), 'EFBIG');
    must('close', close(fd));
    assert.equal(content(at(paris, 'long')), EXPECTED);
  });

  test('are the same after SIGKILL, and as versions', async () => {
    await paris.kill();
    await paris.mount();
    assert.equal(content(at(paris, 'long')), EXPECTED);
    await paris.sync();
    await paris.umount();
    await paris.mount();
    assert.equal(content(at(paris, 'long')), EXPECTED);
  });

  test('are the same at a site that fetches what is read, before and after it gave their content up', async () => {
    await cluster.settle();
    assert.equal(content(at(oslo, 'long')), EXPECTED);
    await oslo.weft(['evict', at(oslo, 'long')]);
    assert.equal(content(at(oslo, 'long')), EXPECTED);
  });

  test('are written to as far as the local filesystem goes', async () => {
    const fd = must('open', open(at(oslo, 'long'), O_RDWR));
    const isExt4 = filesystemType(oslo.state) === 'ext4';
    assert.equal(outcome(pwrite(fd, 'new', 0)), isExt4 ? 'EFBIG' : 'ok');
    must('close', close(fd));
    assert.equal(statSync(at(oslo, 'long')).size, LONGEST);
    writeFileSync(at(oslo, 'long'), 'emptied');
    await cluster.settle();
    assert.equal(statSync(at(paris, 'long')).size, 7);
  });

  test('which the kernel writes by itself end there too: fsync(2) says so, and what lies before goes to the other site', async () => {
    const path = at(paris, 'by the kernel');
    writeFileSync(path, Buffer.alloc(1 << 20, 1));
    await cluster.settle();
    const fd = must('open', open(path, O_RDWR));
    must('pwrite', pwrite(fd, 'far', 2 ** 50));
    const reached = outcome(pwrite(fd, 'too far', 2n ** 62n));
    // The daemon refuses it at once; a local file takes it, for the kernel does not ask.
    if (reached !== 'EFBIG') assert.equal(outcome(fsync(fd)), 'EFBIG');
    assert.equal(outcome(fsync(fd)), 'ok');
    must('close', close(fd));
    await cluster.settle();
    for (const site of [paris, oslo]) {
      const there = must('open', open(at(site, 'by the kernel'), O_RDONLY));
      assert.equal(fstat(there).size, BigInt(reached === 'EFBIG' ? 2 ** 50 + 3 : LONGEST), site.name);
      assert.equal(lseek(there, 1 << 20, SEEK_DATA), 2 ** 50);
      const bytes = Buffer.alloc(3);
      must('pread', pread(there, bytes, 2 ** 50));
      assert.equal(bytes.toString(), 'far');
      must('close', close(there));
    }
  });
});

// evicted-content.test.ts — pins, evictions and a cache that is smaller than the volume, with real daemons, mounts and links.
// Needs root and /dev/fuse.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { closeSync, mkdirSync, openSync, readFileSync, readSync, renameSync, writeFileSync, writeSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { after, before, describe, test } from 'node:test';
import { Cluster } from '../scripts/sites/cluster.js';
import { run } from '../scripts/sites/command.js';
import type { Site } from '../scripts/sites/site.js';
import { at, packBytes, weft } from './team.test-support.js';

const FILES = 40;
const FILE_BYTES = 2 << 20;
const CACHE_BYTES = 20 << 20;

interface Evicted {
  readonly bytes: number;
  readonly lastCopyBytes: number;
}

async function evict(site: Site, path: string): Promise<Evicted> {
  return JSON.parse(await weft(site, 'evict', path, '--json')) as Evicted;
}

async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
  for (const endMs = Date.now() + 30_000; !(await holds());) {
    assert.ok(Date.now() < endMs, `not ${what} after 30 s`);
    await sleep(100);
  }
}

describe('content that is kept, given up and fetched again', () => {
  const cluster = new Cluster('weft-evicted');
  const paris = cluster.addSite('paris');
  const oslo = cluster.addSite('oslo');
  const files = Array.from({ length: FILES }, () =>
    Buffer.concat([randomBytes(FILE_BYTES), Buffer.from('\nneedle\n')]),
  );

  before(async () => {
    await paris.create('team');
    mkdirSync(at(paris, 'large'));
    mkdirSync(at(paris, 'small'));
    for (const [i, bytes] of files.entries()) writeFileSync(at(paris, `large/${i}`), bytes);
    for (let i = 0; i < 100; i++) writeFileSync(at(paris, `small/${i}`), `needle ${i}\n`);
    await paris.sync();
    await oslo.join(await paris.invite(), ['--content', 'on-demand']);
    await oslo.sync();
  });
  after(() => cluster.close());

  test('a pinned tree comes without being read, and what is added to it or renamed', async () => {
    mkdirSync(at(oslo, 'kept'));
    await weft(oslo, 'pin', at(oslo, 'kept'));
    renameSync(at(oslo, 'large/0'), at(oslo, 'kept/zero'));
    await cluster.settle();
    writeFileSync(at(paris, 'kept/new'), files[1]!);
    await cluster.settle();
    renameSync(at(oslo, 'kept'), at(oslo, 'still kept'));
    interface Pin {
      readonly path: string;
      readonly files: number;
      readonly missingBytes: number;
    }
    const pins = async (): Promise<Pin[]> =>
      JSON.parse(await weft(oslo, 'pin', '--state', oslo.state, '--json')) as Pin[];
    await until('fetched', async () => (await pins())[0]?.missingBytes === 0 && (await pins())[0]?.files === 2);
    assert.equal((await pins())[0]!.path, '/still kept');
    await cluster.settle();
    await oslo.umount();
    await oslo.mount();
    assert.equal((await pins()).length, 1);
    await paris.pause();
    assert.ok(readFileSync(at(oslo, 'still kept/zero')).equals(files[0]!));
    assert.ok(readFileSync(at(oslo, 'still kept/new')).equals(files[1]!));
    await paris.resume();
    await oslo.statusUntil('linked', ({ peers }) => peers.every(({ state }) => state === 'connected'));
    assert.match(
      (await oslo.weft(['evict', at(oslo, 'still kept/zero')])).stderr,
      /\/still kept is pinned: weft unpin/,
    );
  });

  test('grep -r over a volume that is larger than the cache works and stays in bounds', async () => {
    await weft(oslo, 'unpin', at(oslo, 'still kept'));
    await weft(oslo, 'content', oslo.mountpoint, '--cache', `${CACHE_BYTES}`);
    let largest = 0;
    const watch = setInterval(() => (largest = Math.max(largest, packBytes(oslo))), 20);
    const { stdout, stderr, code } = await run('grep', ['-r', '-c', '-a', 'needle', oslo.mountpoint], {
      timeoutMs: 120_000,
    });
    clearInterval(watch);
    assert.equal(code, 0, `${stderr}\n${oslo.logTroubles().join('\n')}`);
    const lines = stdout.trim().split('\n');
    assert.equal(lines.length, FILES + 1 + 100);
    assert.ok(lines.every((line) => !line.endsWith(':0')));
    assert.ok(FILES * FILE_BYTES > 3 * CACHE_BYTES && (await oslo.status()).chunkBytes <= CACHE_BYTES);
    // Packs are written in steps of 8 MiB, and a quarter of each may be of no use.
    assert.ok(largest < 2 * CACHE_BYTES, `${largest} bytes of packs`);
    assert.equal((await oslo.weft(['fsck', oslo.mountpoint, '--data'], { timeoutMs: 60_000 })).code, 0);
  });

  test('evicted content is read again, and writing goes on in the middle of it', async () => {
    await weft(oslo, 'content', oslo.mountpoint, '--cache', 'all');
    for (let i = 10; i < 14; i++) assert.ok(readFileSync(at(oslo, `large/${i}`)).equals(files[i]!));
    const fd = openSync(at(oslo, 'large/10'), 'r+');
    writeSync(fd, 'written here', FILE_BYTES / 2);
    const reader = openSync(at(oslo, 'large/11'), 'r');
    const { bytes, lastCopyBytes } = await evict(oslo, at(oslo, 'large'));
    assert.ok(bytes > FILE_BYTES, `${bytes} bytes`);
    assert.equal(lastCopyBytes, 0);
    const page = Buffer.alloc(4096);
    readSync(reader, page, 0, page.length, 1 << 20);
    assert.ok(page.equals(files[11]!.subarray(1 << 20, (1 << 20) + 4096)));
    writeSync(fd, 'and here', 100);
    closeSync(fd);
    closeSync(reader);
    const expected = Buffer.from(files[10]!);
    expected.write('written here', FILE_BYTES / 2);
    expected.write('and here', 100);
    await cluster.settle();
    for (const site of [paris, oslo]) assert.ok(readFileSync(at(site, 'large/10')).equals(expected), site.name);
    assert.ok(readFileSync(at(oslo, 'large/12')).equals(files[12]!));
  });

  test('the last known copy stays: what no other site keeps, or none that is linked', async () => {
    await paris.pause();
    writeFileSync(at(oslo, 'only here'), files[2]!);
    assert.equal((await evict(oslo, at(oslo, 'only here'))).bytes, 0);
    const cut = await evict(oslo, oslo.mountpoint);
    assert.ok(cut.bytes === 0 && cut.lastCopyBytes > 0);
    await paris.resume();
    await cluster.settle();
    assert.ok((await evict(oslo, at(oslo, 'only here'))).bytes > FILE_BYTES);
    await weft(paris, 'content', paris.mountpoint, 'on-demand');
    await oslo.statusUntil('linked', ({ peers }) => peers.every(({ state }) => state === 'connected'));
    assert.ok(readFileSync(at(oslo, 'only here')).equals(files[2]!));
    for (const site of [paris, oslo]) assert.equal((await evict(site, site.mountpoint)).bytes, 0, site.name);
    await weft(paris, 'content', paris.mountpoint, 'everything');
  });

  test('SIGKILL in the middle of evictions loses nothing', async () => {
    await weft(oslo, 'content', oslo.mountpoint, '--cache', `${CACHE_BYTES}`);
    for (let round = 0; round < 4; round++) {
      await oslo.statusUntil('linked', ({ peers }) => peers.every(({ state }) => state === 'connected'));
      const reading = run(
        'cat',
        Array.from({ length: 20 }, (_, i) => at(oslo, `large/${15 + i}`)),
        {
          timeoutMs: 60_000,
        },
      );
      writeFileSync(at(oslo, `written ${round}`), files[round]!);
      await sleep(300 + round * 250);
      await oslo.kill();
      await reading;
      await oslo.mount();
      assert.ok(readFileSync(at(oslo, `written ${round}`)).equals(files[round]!));
      assert.equal((await oslo.weft(['fsck', oslo.mountpoint, '--data'], { timeoutMs: 60_000 })).code, 0);
    }
    await cluster.settle();
    for (let round = 0; round < 4; round++)
      assert.ok(readFileSync(at(paris, `written ${round}`)).equals(files[round]!));
    for (let i = 15; i < 35; i++) assert.ok(readFileSync(at(oslo, `large/${i}`)).equals(files[i]!), `${i}`);
    assert.equal((await paris.status()).digest, (await oslo.status()).digest);
  });
});

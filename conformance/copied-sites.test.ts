// copied-sites.test.ts — one state directory runs twice: a copy of it, made while its daemon went on, is mounted beside it. Both go on, under
// one identity, and nothing that either gives out is given out twice. Needs root and /dev/fuse.

import assert from 'node:assert/strict';
import { cpSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Cluster } from '../scripts/sites/cluster.js';
import type { Site } from '../scripts/sites/site.js';

const COUNT = 15;

describe('two daemons on copies of one state directory', () => {
  const cluster = new Cluster('weft-copied');
  const paris = cluster.addSite('paris');
  const oslo = cluster.addSite('oslo');
  const twin = cluster.addSite('twin');
  const written = new Set<string>();

  before(async () => {
    await paris.create('team');
    await oslo.join(await paris.invite());
    write(oslo, 'before');
    await cluster.settle([paris, oslo]);
  });
  after(() => cluster.close());

  function write(site: Site, prefix: string): void {
    for (let i = 0; i < COUNT; i++) {
      const name = `${prefix}-${i}`;
      writeFileSync(join(site.mountpoint, name), name);
      written.add(name);
    }
  }

  /** Every file with its own bytes and its own inode number, the same everywhere. */
  async function assertWhole(): Promise<void> {
    const sites = [paris, oslo, twin];
    for (const site of sites) {
      const holdsAll = (): boolean => readdirSync(site.mountpoint).length === written.size;
      await site.statusUntil('whole', holdsAll, 60_000);
    }
    await paris.statusUntil('the same everywhere', () => true);
    const inodes = new Map<number, string>();
    for (const site of sites) {
      for (const name of written) {
        const path = join(site.mountpoint, name);
        assert.equal(readFileSync(path, 'utf8'), name, site.name);
        const { ino } = statSync(path);
        assert.equal(inodes.get(ino) ?? name, name, `inode ${ino} at ${site.name}`);
        inodes.set(ino, name);
      }
    }
    assert.equal(inodes.size, written.size);
    const digests = await Promise.all(sites.map(async (site) => (await site.status()).digest));
    assert.equal(new Set(digests).size, 1);
  }

  test('both go on as runs of their own, and everything of both arrives', async () => {
    write(oslo, 'open');
    cpSync(oslo.state, twin.state, { recursive: true, filter: (path) => !path.endsWith('.sock') });
    await twin.mount(['--listen', '127.0.0.1:0']);
    for (let round = 0; round < 3; round++) {
      write(oslo, `oslo-${round}`);
      write(twin, `twin-${round}`);
    }
    await assertWhole();
    assert.equal((await paris.status()).conflicts, 0);
  });

  test('they are told that they are two', async () => {
    const told = (site: Site): boolean =>
      /another site with the identity of site/.test(readFileSync(join(site.state, 'daemon.log'), 'utf8'));
    await oslo.statusUntil('told', () => told(oslo) || told(twin));
    assert.match(readFileSync(join(twin.state, 'daemon.log'), 'utf8'), /this state directory is a copy/);
  });

  test('both killed and mounted again go on in the same way', async () => {
    await oslo.kill();
    await twin.kill();
    await oslo.mount();
    await twin.mount();
    write(twin, 'twin-again');
    write(oslo, 'oslo-again');
    await assertWhole();
  });
});

// closed-sites.test.ts — real sites that are made read-only, opened again and retired: what counts, who is told, who is let in.
// The steps share one volume and build on each other, in order. Needs root and /dev/fuse.

import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Cluster } from '../scripts/sites/cluster.js';
import type { Site } from '../scripts/sites/site.js';

const roleOf = async (at: Site, site: Site): Promise<string | undefined> =>
  (await at.peers()).find((peer) => peer.site === site.name)?.role;

describe('closed sites', () => {
  const cluster = new Cluster('weft-closed');
  const paris = cluster.addSite('paris');
  const oslo = cluster.addSite('oslo');
  const rome = cluster.addSite('rome');

  before(async () => {
    await paris.create('team');
    await oslo.join(await paris.invite());
    await rome.join(await paris.invite());
    writeFileSync(join(oslo.mountpoint, 'before'), 'kept');
    await cluster.settle();
  });
  after(() => cluster.close());

  test('a site that may only read takes what others write, and refuses to write', async () => {
    await paris.setRole('oslo', 'read-only');
    writeFileSync(join(paris.mountpoint, 'news'), 'from paris');
    await cluster.settle();
    assert.equal(await roleOf(oslo, oslo), 'read-only');
    assert.equal(readFileSync(join(oslo.mountpoint, 'news'), 'utf8'), 'from paris');
    assert.throws(() => writeFileSync(join(oslo.mountpoint, 'mine'), 'x'), { code: 'EROFS' });
    assert.throws(() => writeFileSync(join(oslo.mountpoint, 'before'), 'x'), { code: 'EROFS' });
    await assert.rejects(oslo.setRole('oslo', 'read-write'), /for another one to say/);
    await assert.rejects(oslo.setRole('paris', 'retired'), /site oslo is read-only: do it at another site/);
    await paris.setRole('oslo', 'read-write');
    await cluster.settle();
    writeFileSync(join(oslo.mountpoint, 'mine'), 'x');
    await cluster.settle();
    assert.equal(readFileSync(join(rome.mountpoint, 'mine'), 'utf8'), 'x');
  });

  test('what a retired site made is kept, what it made apart and later is taken nowhere, and it is told so', async () => {
    await oslo.pause();
    writeFileSync(join(oslo.mountpoint, 'unseen'), 'nobody has this');
    await oslo.statusUntil('cut off', ({ peers }) => peers.every(({ state }) => state === 'paused'));
    await paris.setRole('oslo', 'retired');
    await cluster.settle([paris, rome]);
    await oslo.resume();
    await oslo.statusUntil('told', ({ peers }) => peers.some(({ lastError }) => /was retired/.test(lastError ?? '')));
    writeFileSync(join(paris.mountpoint, 'without-oslo'), 'y');
    await cluster.settle([paris, rome]);
    for (const site of [paris, rome]) {
      assert.equal(await roleOf(site, oslo), 'retired');
      assert.equal(existsSync(join(site.mountpoint, 'unseen')), false);
      assert.equal(readFileSync(join(site.mountpoint, 'before'), 'utf8'), 'kept');
    }
    assert.equal(readFileSync(join(oslo.mountpoint, 'unseen'), 'utf8'), 'nobody has this');
    assert.equal((await paris.status()).digest, (await rome.status()).digest);
  });

  test('a retired site that is let in again brings what it had', async () => {
    await rome.setRole('oslo', 'read-write');
    await cluster.settle([paris, rome]);
    await oslo.addPeer((await paris.status()).listen);
    await oslo.statusUntil('linked', ({ peers }) => peers.some(({ state }) => state === 'connected'));
    await cluster.settle();
    assert.equal(readFileSync(join(rome.mountpoint, 'unseen'), 'utf8'), 'nobody has this');
    assert.equal((await oslo.status()).digest, (await rome.status()).digest);
  });
});

// site-identity.test.ts — real sites get another name and another key while they run; who was away for that links all the same.
// The steps share one volume and build on each other, in order. Needs root and /dev/fuse.

import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Cluster } from '../scripts/sites/cluster.js';
import type { Site } from '../scripts/sites/site.js';

interface Row {
  readonly site: string;
  readonly siteId: string;
  readonly identity: string;
  readonly state: string;
}

describe('names and keys of sites', () => {
  const cluster = new Cluster('weft-identity');
  const paris = cluster.addSite('paris');
  const oslo = cluster.addSite('oslo');
  const rome = cluster.addSite('rome');
  let parisId = '';

  before(async () => {
    await paris.create('team');
    await oslo.join(await paris.invite());
    await rome.join(await paris.invite());
    await cluster.settle();
    parisId = (JSON.parse(readFileSync(join(paris.state, 'site.json'), 'utf8')) as { siteId: string }).siteId;
  });
  after(() => cluster.close());

  async function parisAt(site: Site): Promise<Row> {
    const rows = (await site.peers()) as unknown as Row[];
    return rows.find(({ siteId }) => siteId === parisId)!;
  }

  test('a site is called anew everywhere; copies that it is in the name of stay as they are', async () => {
    await cluster.apart(() => {
      for (const site of [paris, oslo]) writeFileSync(join(site.mountpoint, 'both'), site.name);
    });
    const names = readdirSync(paris.mountpoint);
    assert.equal(names.length, 2);
    await paris.weftChecked(['rename-site', paris.mountpoint, 'lutetia']);
    await cluster.settle();
    for (const site of [paris, oslo, rome]) {
      assert.equal((await parisAt(site)).site, 'lutetia', site.name);
      assert.deepEqual(readdirSync(site.mountpoint), names);
    }
    await oslo.statusUntil('told', ({ peers }) => peers.some(({ site }) => site === 'lutetia'));
    const taken = await oslo.weft(['rename-site', oslo.mountpoint, 'lutetia']);
    assert.equal(taken.code, 1);
    assert.match(taken.stderr, /is called "lutetia": choose another name/);
    assert.equal((await paris.weft(['rename-site', paris.mountpoint, 'no/name'])).code, 2);
    await paris.umount();
    await paris.mount();
    assert.equal((await paris.status()).site, 'lutetia');
    await cluster.settle();
    const digests = await Promise.all([paris, oslo, rome].map(async (site) => (await site.status()).digest));
    assert.equal(new Set(digests).size, 1);
  });

  test('a key is replaced while sites are linked, and known to them at once', async () => {
    await rome.umount();
    const old = (await parisAt(oslo)).identity;
    let identity = '';
    for (let i = 0; i < 3; i++) {
      identity = (await paris.weftChecked(['key', 'rotate', paris.mountpoint])).trim();
      writeFileSync(join(paris.mountpoint, `after-${i}`), identity);
    }
    assert.notEqual(identity, old);
    await cluster.settle([paris, oslo]);
    assert.equal((await parisAt(oslo)).identity, identity);
    assert.equal(readFileSync(join(oslo.mountpoint, 'after-2'), 'utf8'), identity);
    assert.equal((await parisAt(oslo)).state, 'connected');
  });

  test('a site that was away for three keys links with the fourth while nobody else is up', async () => {
    await oslo.umount();
    await rome.mount();
    await rome.statusUntil('linked', ({ peers }) =>
      peers.some(({ site, state }) => site === 'lutetia' && state === 'connected'),
    );
    await cluster.settle([paris, rome]);
    assert.equal((await parisAt(rome)).identity, (await parisAt(paris)).identity);
    assert.equal(readdirSync(rome.mountpoint).length, 5);
  });

  test('a daemon killed right after it wrote its key goes on with that key', async () => {
    await paris.weftChecked(['key', 'rotate', paris.mountpoint]);
    await paris.kill();
    await paris.mount();
    await oslo.mount();
    await cluster.settle();
    assert.equal((await parisAt(oslo)).identity, (await parisAt(paris)).identity);
  });
});

// reclaimed-space.test.ts — weft gc between real sites: what a site that is away may need stays until it was back, then the disk is
// free; and who joins afterwards is not kept waiting for versions that no site has any more.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { closeSync, openSync, readFileSync, readSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Cluster } from '../scripts/sites/cluster.js';
import type { Site } from '../scripts/sites/site.js';
import { packBytes } from './team.test-support.js';

interface Report {
  readonly kept: Readonly<Record<string, { readonly objects: number }>>;
  readonly unused: { readonly objects: number };
  readonly waitsFor: readonly string[];
}

async function gc(site: Site, ...flags: string[]): Promise<Report> {
  const { code, stdout, stderr } = await site.weft(['gc', site.mountpoint, '--json', ...flags]);
  assert.equal(code, 0, stderr);
  return (JSON.parse(stdout) as Report[])[0]!;
}

describe('disk space that is reclaimed', () => {
  const cluster = new Cluster('weft-reclaimed');
  const paris = cluster.addSite('paris');
  const oslo = cluster.addSite('oslo');
  const bergen = cluster.addSite('bergen');
  const large = Array.from({ length: 3 }, () => randomBytes(3_000_000));
  const path = (name: string, site = paris): string => join(site.mountpoint, name);
  let fd: number;

  before(async () => {
    await paris.create('team');
    await oslo.join(await paris.invite());
    for (const [i, bytes] of large.entries()) {
      writeFileSync(path('large'), bytes);
      for (let n = 0; n < 100; n++) writeFileSync(path(`small${n}`), `${i} ${n} ${'.'.repeat(400)}`);
      await cluster.settle([paris, oslo]);
    }
  });
  after(() => cluster.close());

  test('history is kept until nobody wants it: weft gc says so, and changes nothing', async () => {
    const report = await gc(paris);
    assert.ok(report.kept['history']!.objects >= 200 && report.unused.objects === 0);
    assert.deepEqual(report.waitsFor, []);
  });

  test('what a site that is away may still build on stays until it was back', async () => {
    await oslo.umount();
    writeFileSync(path('large'), 'small now');
    await paris.sync();
    const { kept, waitsFor } = await gc(paris, '--keep-history', '0', '--run');
    assert.deepEqual(waitsFor, ['oslo']);
    assert.ok(kept['peers']!.objects > 3 && kept['history']!.objects === 0);
    assert.ok(packBytes(paris) > 3_000_000 && packBytes(paris) < 4_000_000, `${packBytes(paris)} bytes`);
    await oslo.mount();
    await cluster.settle([paris, oslo]);
    assert.equal(readFileSync(path('large', oslo), 'utf8'), 'small now');
  });

  test('an open file stays readable though it was removed and collected everywhere', async () => {
    writeFileSync(path('open'), large[0]!);
    await cluster.settle([paris, oslo]);
    fd = openSync(path('open', oslo), 'r');
    rmSync(path('open'));
    await cluster.settle([paris, oslo]);
    for (const site of [paris, oslo]) await gc(site, '--keep-history', '0', '--run');
    assert.ok(packBytes(paris) < 500_000, `${packBytes(paris)} bytes`);
    const bytes = Buffer.alloc(large[0]!.length);
    assert.equal(readSync(fd, bytes), bytes.length);
    assert.ok(bytes.equals(large[0]!));
    closeSync(fd);
    await gc(oslo, '--run');
    assert.ok(packBytes(oslo) < 500_000, `${packBytes(oslo)} bytes`);
  });

  test('a site that joins now has everything, and does not wait for old versions that nobody has', async () => {
    await bergen.join(await paris.invite());
    await bergen.sync(30_000);
    assert.equal((await bergen.status()).digest, (await paris.status()).digest);
    for (let n = 0; n < 100; n++)
      assert.equal(readFileSync(path(`small${n}`, bergen), 'utf8'), `2 ${n} ${'.'.repeat(400)}`);
    for (const site of [paris, oslo, bergen]) assert.deepEqual(site.logTroubles(), []);
  });
});

// limited-transfer.test.ts — content between two real sites at a limited speed: the limit is kept, changed live and outlasts a restart;
// changes do not wait for content; what is needed comes first; and a cut link or a killed daemon goes on where it was.
// Needs root and /dev/fuse.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { after, before, describe, test } from 'node:test';
import type { SiteStatus } from '../lib/daemon/daemon-interface.js';
import type { Site } from '../scripts/sites/site.js';
import { TappedWire } from './tapped-wire.js';
import { at, Team, weft } from './team.test-support.js';

const MIB = 1 << 20;

async function statusOf(site: Site): Promise<SiteStatus> {
  return JSON.parse(await weft(site, 'status', site.mountpoint, '--json')) as SiteStatus;
}

describe('content at a limited speed', () => {
  const team = new Team('weft-limited');
  const { cluster, paris, oslo } = team;
  const large = randomBytes(8 * MIB);
  before(async () => {
    await team.found();
    await cluster.settle();
  });
  after(() => team.close());

  async function missingUntil(accept: (bytes: number) => boolean): Promise<number> {
    for (const endMs = Date.now() + 30_000; ;) {
      const { missingBytes } = await statusOf(oslo);
      if (accept(missingBytes)) return missingBytes;
      assert.ok(Date.now() < endMs, `${missingBytes} bytes missing`);
      await sleep(30);
    }
  }

  test('what is sent keeps to the limit, changes go first, and the status says what is to come and how fast it comes', async () => {
    assert.equal(await weft(paris, 'limit', paris.mountpoint), 'no limits\n');
    assert.match(await weft(paris, 'limit', paris.mountpoint, '--up', '256K'), /always\s+256 KiB\/s\s+no limit/);
    const startedMs = Date.now();
    writeFileSync(at(paris, 'large'), large);
    await missingUntil((bytes) => bytes > 0);
    writeFileSync(at(paris, 'name'), '');
    for (const endMs = Date.now() + 5000; ; await sleep(10)) {
      if (await readFile(at(oslo, 'name')).catch(() => null)) break;
      assert.ok(Date.now() < endMs, 'a change waits for content');
    }
    await sleep(2000);
    const { missingBytes, peers } = await statusOf(oslo);
    const mayBeHere = ((Date.now() - startedMs) / 1000) * (MIB / 4) + MIB;
    assert.ok(large.length - missingBytes < mayBeHere, `${missingBytes} bytes missing`);
    assert.ok(peers[0]!.receivingBytesPerS < MIB, `${peers[0]!.receivingBytesPerS}`);
    assert.match(await weft(oslo, 'status', oslo.mountpoint), /to fetch: .* in [\d ]+ objects, .*\/s, \d+ s to go/);
    await weft(paris, 'limit', paris.mountpoint, '--up', '20M');
    await missingUntil((bytes) => bytes === 0);
    assert.ok(readFileSync(at(oslo, 'large')).equals(large));
  });

  test('what is fetched keeps to its own limit, which a restart keeps and which is taken back in the middle', async () => {
    await weft(paris, 'limit', paris.mountpoint, '--none');
    await weft(oslo, 'limit', oslo.mountpoint, '--down', '1M', '--between', '00:00-24:00');
    await oslo.umount();
    await oslo.mount();
    await oslo.statusUntil('linked', ({ peers }) => peers.every(({ state }) => state === 'connected'));
    assert.match(await weft(oslo, 'limit', oslo.mountpoint), /00:00-24:00\s+no limit\s+1\.0 MiB\/s\nnow/);
    writeFileSync(at(paris, 'second'), randomBytes(12 * MIB));
    await missingUntil((bytes) => bytes > 0);
    await sleep(2000);
    const { missingBytes } = await statusOf(oslo);
    assert.ok(missingBytes > 6 * MIB && missingBytes < 12 * MIB, `${missingBytes} of 12 MiB after 2 s at 1 MiB/s`);
    await weft(oslo, 'limit', oslo.mountpoint, '--down', 'none', '--between', '00:00-24:00');
    const startedMs = Date.now();
    await missingUntil((bytes) => bytes === 0);
    assert.ok(Date.now() - startedMs < 3000);
  });

  test('after a cut, and after SIGKILL, nothing that is held is sent again', async () => {
    const { listen } = await paris.status();
    const wire = await TappedWire.observer(listen);
    try {
      await oslo.removePeer('paris');
      await oslo.addPeer(wire.address);
      await oslo.statusUntil('linked', ({ peers }) => peers.some(({ state }) => state === 'connected'));
      const beforeBytes = wire.passedBytes;
      const passed = async (bytes: number): Promise<void> => {
        while (wire.passedBytes < beforeBytes + bytes) await sleep(5);
      };
      await weft(paris, 'limit', paris.mountpoint, '--up', '2M');
      writeFileSync(
        at(paris, 'third'),
        large.map((byte) => byte ^ 0xff),
      );
      for (const mib of [2, 4]) {
        await passed(mib * MIB);
        wire.cut();
      }
      await passed(6 * MIB);
      await oslo.kill();
      await paris.pause();
      await oslo.mount();
      // What passed is here, but for what was under way at each of the three ends.
      const { missingBytes } = await statusOf(oslo);
      assert.ok(missingBytes > 0 && missingBytes < 3.5 * MIB, `${missingBytes} of 8 MiB are missing after 6 MiB`);
      await paris.resume();
      await missingUntil((bytes) => bytes === 0);
      assert.ok(readFileSync(at(oslo, 'third')).equals(large.map((byte) => byte ^ 0xff)));
    } finally {
      await wire.close();
    }
  });
});

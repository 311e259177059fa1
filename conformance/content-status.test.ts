// content-status.test.ts — what `weft status` says of content that is not here, and of content that is only here, with real daemons,
// mounts and links: right after a cut, after SIGKILL, and when all is well. Needs root and /dev/fuse.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { after, before, describe, test } from 'node:test';
import { ControlClient } from '../lib/cli/control-client.js';
import type { SiteStatus } from '../lib/daemon/daemon-interface.js';
import { runChecked } from '../scripts/sites/command.js';
import { processEnd, signalProcess } from '../scripts/sites/processes.js';
import type { Site } from '../scripts/sites/site.js';
import { at, Team, weft } from './team.test-support.js';

const FILE_BYTES = 4 << 20;
/** Manifests, and what is stored beside the bytes of files. */
const SLACK_BYTES = 64 << 10;

async function statusOf(site: Site): Promise<SiteStatus> {
  return JSON.parse(await weft(site, 'status', site.mountpoint, '--json')) as SiteStatus;
}

async function unsharedUntil(site: Site, accept: (bytes: number) => boolean): Promise<number> {
  const endMs = Date.now() + 10_000;
  for (;;) {
    const { unsharedBytes } = await statusOf(site);
    if (accept(unsharedBytes)) return unsharedBytes;
    assert.ok(Date.now() < endMs, `${unsharedBytes} bytes are at no other site after 10 s`);
    await sleep(50);
  }
}

const aboutOneFile = (bytes: number): boolean => bytes >= FILE_BYTES && bytes < FILE_BYTES + SLACK_BYTES;

describe('content that is only here, or not here', () => {
  const team = new Team('weft-content-status');
  const { cluster, paris, oslo } = team;
  before(async () => {
    await paris.create('team');
    writeFileSync(at(paris, 'first'), randomBytes(FILE_BYTES));
  });
  after(() => team.close());

  test('all content of a single site is at no other; none of it once another site that keeps everything has it', async () => {
    await unsharedUntil(paris, aboutOneFile);
    assert.match(await weft(paris, 'status', paris.mountpoint), /at no other site that keeps everything: 4\.0 MiB/);
    await oslo.join(await paris.invite());
    await cluster.settle();
    await unsharedUntil(paris, (bytes) => bytes === 0);
    const { unsharedBytes, missingObjects, missingBytes, absentBytes, chunkBytes } = await statusOf(oslo);
    assert.deepEqual([unsharedBytes, missingObjects, missingBytes, absentBytes], [0, 0, 0, null]);
    assert.ok(aboutOneFile(chunkBytes));
    assert.doesNotMatch(await weft(paris, 'status', paris.mountpoint), /no other site|to fetch/);
  });

  test('what is written while links are cut is only here, and stays so through SIGKILL until it was sent', async () => {
    await paris.pause();
    writeFileSync(at(paris, 'second'), randomBytes(FILE_BYTES));
    await unsharedUntil(paris, aboutOneFile);
    await paris.kill();
    await paris.mount();
    assert.ok(aboutOneFile((await statusOf(paris)).unsharedBytes));
    await paris.resume();
    await cluster.settle();
    await unsharedUntil(paris, (bytes) => bytes === 0);
    await sleep(1000); // it may take half a second until it is noted
    await paris.pause();
    await paris.kill();
    await paris.mount();
    assert.equal((await statusOf(paris)).unsharedBytes, 0);
    assert.equal((await statusOf(oslo)).unsharedBytes, 0);
    await paris.resume();
  });

  test('what a site that keeps everything has for another one is only here as long as no further one keeps it', async () => {
    const rome = cluster.addSite('rome');
    await rome.join(await paris.invite(), ['--content', 'on-demand']);
    await cluster.settle();
    assert.equal((await statusOf(rome)).absentBytes, 2 * FILE_BYTES);
    assert.equal((await statusOf(rome)).missingBytes, 0);
    assert.equal(readFileSync(at(rome, 'first')).length, FILE_BYTES);
    assert.equal((await statusOf(rome)).absentBytes, FILE_BYTES);
    assert.match(await weft(rome, 'status', rome.mountpoint), /on demand: 4\.0 MiB of the files' content is not here/);
    await oslo.umount();
    writeFileSync(at(rome, 'third'), randomBytes(FILE_BYTES));
    await cluster.settle([paris, rome]);
    await unsharedUntil(rome, (bytes) => bytes === 0);
    await unsharedUntil(paris, aboutOneFile);
    await oslo.mount();
    await cluster.settle();
    await unsharedUntil(paris, (bytes) => bytes === 0);
  });

  test('weft umount says what is at no other site, also when umount(8) is done first while it waits for one that hangs', async () => {
    const hanging = [oslo, cluster.sites.get('rome')!].map((site) => site.daemonPid!);
    const client = (await ControlClient.connect(paris.state))!;
    for (const pid of hanging) signalProcess(pid, 'SIGSTOP');
    try {
      writeFileSync(at(paris, 'fourth'), randomBytes(FILE_BYTES));
      await unsharedUntil(paris, aboutOneFile);
      // As weft umount asks; but its own start, however long it takes, is not waited for.
      const asked = client.request('stop', { force: false });
      await sleep(200);
      await runChecked('umount', [paris.mountpoint]);
      const unshared = (await asked)!;
      assert.ok(unshared.changes > 0);
      assert.ok(aboutOneFile(unshared.bytes), `${unshared.bytes} bytes`);
    } finally {
      client.close();
      for (const pid of hanging) signalProcess(pid, 'SIGCONT');
    }
    await processEnd(paris.daemonPid!, 10_000);
    await paris.mount();
    await cluster.settle();
    await unsharedUntil(paris, (bytes) => bytes === 0);
  });

  test('weft umount names the content that is still on its way, when all changes arrived', async () => {
    await paris.weftChecked(['limit', paris.mountpoint, '--up', '200K']);
    writeFileSync(at(paris, 'fifth'), randomBytes(FILE_BYTES));
    await oslo.statusUntil('told of the file', () => existsSync(at(oslo, 'fifth')));
    assert.match(await paris.weftChecked(['umount', paris.mountpoint]), /^content, 4\.0 MiB: at no other site that /);
    await paris.mount();
    await paris.weftChecked(['limit', paris.mountpoint, '--up', 'none']);
    await cluster.settle();
    assert.equal(await paris.weftChecked(['umount', paris.mountpoint]), '');
  });
});

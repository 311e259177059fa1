// on-demand.test.ts — a site that fetches what is read there, with real daemons, mounts and links: the whole tree is visible at once,
// the content of a file comes when it is read, once, and stays. Needs root and /dev/fuse.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import {
  appendFileSync,
  closeSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  readSync,
  renameSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { open, readFile } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Cluster } from '../scripts/sites/cluster.js';
import { run, runChecked } from '../scripts/sites/command.js';
import type { Site } from '../scripts/sites/site.js';
import { at, weft } from './team.test-support.js';

async function fsck(site: Site): Promise<void> {
  const { code, stdout } = await site.weft(['fsck', site.mountpoint, '--data'], { timeoutMs: 60_000 });
  assert.equal(code, 0, stdout);
}

describe('a site that fetches what is read', () => {
  const cluster = new Cluster('weft-on-demand');
  const paris = cluster.addSite('paris');
  const oslo = cluster.addSite('oslo');
  const bergen = cluster.addSite('bergen');
  const large = randomBytes(24 << 20);
  const small = Array.from({ length: 40 }, (_, i) => `${i} ${'.'.repeat(100 + i)}`);

  before(async () => {
    await paris.create('team');
    mkdirSync(at(paris, 'small'));
    for (const [i, text] of small.entries()) writeFileSync(at(paris, `small/${i}`), text);
    writeFileSync(at(paris, 'large'), large);
    symlinkSync('small/3', at(paris, 'link'));
    await runChecked('setfattr', ['-n', 'user.note', '-v', 'of paris', at(paris, 'large')]);
    await paris.sync();
    await oslo.join(await paris.invite(), ['--content', 'on-demand']);
  });
  after(() => cluster.close());

  test('the whole tree is there at once, and none of its content', async () => {
    await oslo.sync();
    assert.equal((await oslo.status()).digest, (await paris.status()).digest);
    assert.deepEqual(readdirSync(at(oslo, 'small')).length, small.length);
    assert.equal(lstatSync(at(oslo, 'large')).size, large.length);
    assert.equal(lstatSync(at(oslo, 'large')).blocks, lstatSync(at(paris, 'large')).blocks);
    assert.equal(readlinkSync(at(oslo, 'link')), 'small/3');
    assert.match((await run('getfattr', ['-n', 'user.note', at(oslo, 'large')])).stdout, /of paris/);
    const { chunkBytes, missingObjects, content } = await oslo.status();
    assert.deepEqual(
      { chunkBytes, missingObjects, content },
      { chunkBytes: 0, missingObjects: 0, content: 'on-demand' },
    );
    await fsck(oslo);
  });

  test('a file comes when it is read, and what was not read does not', async () => {
    assert.equal(readFileSync(at(oslo, 'link'), 'utf8'), small[3]);
    const afterSmall = (await oslo.status()).chunkBytes;
    assert.ok(afterSmall > 0 && afterSmall < 2_000, `${afterSmall} bytes`);
    const page = Buffer.alloc(4096);
    const fd = openSync(at(oslo, 'large'), 'r');
    readSync(fd, page, 0, page.length, 3000 * 4096);
    closeSync(fd);
    assert.ok(page.equals(large.subarray(3000 * 4096, 3001 * 4096)));
    const afterPart = (await oslo.status()).chunkBytes;
    assert.ok(afterPart < large.length / 3, `${afterPart} bytes for one page`);
  });

  test('readers of one file share what is fetched, and it stays', async () => {
    const before = (await paris.status()).chunkBytes;
    const read = await Promise.all(Array.from({ length: 4 }, () => readFile(at(oslo, 'large'))));
    assert.ok(read.every((bytes) => bytes.equals(large)));
    const { chunkBytes } = await oslo.status();
    assert.ok(chunkBytes < before, `${chunkBytes} bytes of ${before}`);
    await paris.pause();
    await oslo.umount();
    await oslo.mount();
    assert.ok(readFileSync(at(oslo, 'large')).equals(large));
    await paris.resume();
    await fsck(oslo);
  });

  test('an open waits for the bytes that another program is reading', async () => {
    await oslo.statusUntil('linked', ({ peers }) => peers.every(({ state }) => state === 'connected'));
    const bytes = randomBytes(3_000_000);
    writeFileSync(at(paris, 'slow'), bytes);
    await cluster.settle([paris, oslo]);
    process.kill(paris.daemonPid!, 'SIGSTOP');
    let reading: Promise<Buffer>;
    try {
      reading = readFile(at(oslo, 'slow'));
      await sleep(500);
      const started = Date.now();
      await (await open(at(oslo, 'slow'))).close();
      assert.ok(Date.now() - started < 3_000, `${Date.now() - started} ms`);
    } finally {
      process.kill(paris.daemonPid!, 'SIGCONT');
    }
    assert.ok((await reading).equals(bytes));
  });

  test('what is written there is everywhere, on top of what was not fetched too', async () => {
    await oslo.statusUntil('linked', ({ peers }) => peers.every(({ state }) => state === 'connected'));
    appendFileSync(at(oslo, 'small/5'), 'and more\n');
    renameSync(at(oslo, 'small/6'), at(oslo, 'six'));
    writeFileSync(at(oslo, 'new'), large.subarray(0, 5_000_000));
    await cluster.settle([paris, oslo]);
    assert.equal(readFileSync(at(paris, 'small/5'), 'utf8'), `${small[5]}and more\n`);
    assert.equal(readFileSync(at(paris, 'six'), 'utf8'), small[6]);
    assert.ok(readFileSync(at(paris, 'new')).equals(large.subarray(0, 5_000_000)));
  });

  test('a site that knows only one that lacks a file gets it through that one', async () => {
    await bergen.join(await oslo.invite());
    await bergen.sync(60_000);
    for (const [i, text] of small.entries())
      if (i !== 5 && i !== 6) assert.equal(readFileSync(at(bergen, `small/${i}`), 'utf8'), text);
    await fsck(bergen);
  });

  test('a read of what no site can be asked for fails in time, and the log names the file', async () => {
    await bergen.umount();
    writeFileSync(at(paris, 'unread'), randomBytes(3_000_000));
    await cluster.settle([paris, oslo]);
    await paris.umount();
    const started = Date.now();
    assert.throws(() => readFileSync(at(oslo, 'unread')), { code: 'EIO' });
    assert.ok(Date.now() - started < 40_000);
    assert.ok(oslo.logTroubles().some((line) => /a read of \/unread failed: its bytes are at a site/.test(line)));
    await paris.mount();
    await bergen.mount();
  });

  test('it can choose to keep everything, and to do no longer', async () => {
    assert.match(await weft(oslo, 'content', oslo.mountpoint), /^on-demand/);
    await weft(oslo, 'content', oslo.mountpoint, 'everything');
    await cluster.settle();
    await paris.pause();
    await bergen.umount();
    for (const [i, text] of small.entries())
      if (i !== 5 && i !== 6) assert.equal(readFileSync(at(oslo, `small/${i}`), 'utf8'), text);
    readFileSync(at(oslo, 'unread'));
    await fsck(oslo);
    await paris.resume();
    await weft(oslo, 'content', oslo.mountpoint, 'on-demand');
    assert.equal((await oslo.status()).content, 'on-demand');
  });
});

// many-open-files.test.ts — programs that hold more files open than the daemon may have descriptors. Needs root and /dev/fuse.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Cluster } from '../scripts/sites/cluster.js';

const DAEMON_FILES = 600;
const OPENED = 900;
const LARGE = Buffer.alloc(100_000, 'large');
const PATIENCE_MS = 20_000;
const O_TMPFILE = 0o20000000 | fs.constants.O_DIRECTORY;

/** False where there is no descriptor for it. */
function isWritten(path: string): boolean {
  try {
    fs.writeFileSync(path, LARGE);
    return true;
  } catch (error) {
    assert.equal((error as NodeJS.ErrnoException).code, 'ENFILE');
    return false;
  }
}

const cluster = new Cluster('weft-many-open');
after(() => cluster.close());

test('the daemon ends when programs hold more files open than it has descriptors', async () => {
  const site = cluster.addSiteIn('here', {
    mountOptions: [],
    driver: 'kernel',
    surroundings: { before: ['prlimit', `--nofile=${DAEMON_FILES}:${DAEMON_FILES}`], env: {} },
  });
  await site.create('many');
  const open: number[] = [];
  try {
    for (let i = 0; i < OPENED; i++) {
      const fd = fs.openSync(site.mountpoint, O_TMPFILE | fs.constants.O_RDWR, 0o600);
      open.push(fd);
      fs.writeSync(fd, `small ${i}`);
    }
    for (const [i, fd] of open.entries()) {
      const into = Buffer.alloc(20);
      assert.equal(into.toString('latin1', 0, fs.readSync(fd, into, 0, 20, 0)), `small ${i}`);
    }
    let refused = 0;
    for (const fd of open) {
      try {
        fs.writeSync(fd, LARGE, 0, LARGE.length, 0);
      } catch (error) {
        assert.equal((error as NodeJS.ErrnoException).code, 'ENFILE');
        refused++;
      }
    }
    assert.ok(refused > 0 && refused < OPENED, `${refused} refused`);
    assert.equal((await site.status()).pid, site.daemonPid);
  } finally {
    for (const fd of open) fs.closeSync(fd);
  }
  // The daemon hears of a close(2) after it returned, and has to make versions, or forget.
  const endMs = Date.now() + PATIENCE_MS;
  while (!isWritten(join(site.mountpoint, 'large'))) {
    assert.ok(Date.now() < endMs, 'nothing large can be written any more');
    await sleep(10);
  }
  assert.ok(fs.readFileSync(join(site.mountpoint, 'large')).equals(LARGE));
  await site.umount();
  await site.mount();
  assert.ok(fs.readFileSync(join(site.mountpoint, 'large')).equals(LARGE));
  assert.deepEqual(site.logTroubles(), []);
});

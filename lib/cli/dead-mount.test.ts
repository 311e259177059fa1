import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, closeSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { someSiteConfig } from '../daemon/site-config.test-support.js';
import { StateDirectory } from '../daemon/state-directory.js';
import { StateLock } from '../daemon/state-lock.js';
import { StateRegistry } from '../daemon/state-registry.js';
import { isDeadMount, mountedAt } from '../fuse/mount-table.js';
import { detachMount } from './dead-mount.js';
import { usableMountpoint } from './mountpoint.js';
import { Scratch } from './spawn-weft.test-support.js';

/** mount(2) needs it. */
const skip = process.getuid?.() === 0 && process.platform === 'linux' ? false : 'needs root on Linux';

let scratch: Scratch;
let mountpoint: string;
beforeEach(() => {
  scratch = new Scratch();
  mountpoint = scratch.folder('mnt');
});
afterEach(() => {
  while (mountedAt(mountpoint)) detachMount(mountpoint);
  scratch.remove();
});

/** A FUSE mount whose only descriptor is closed: what the death of a daemon leaves. */
function leaveDeadMount(): void {
  const fd = openSync('/dev/fuse', 'r+');
  const options = 'fd=3,rootmode=40000,user_id=0,group_id=0,subtype=weft';
  const args = ['-i', '-t', 'fuse', '-o', options, 'team', mountpoint];
  const { status, stderr } = spawnSync('mount', args, { stdio: ['ignore', 'ignore', 'pipe', fd], encoding: 'utf8' });
  closeSync(fd);
  assert.equal(status, 0, stderr);
}

function makeSite(): void {
  const config = someSiteConfig(mountpoint);
  const state = StateDirectory.create(join(scratch.home, 'team'), config);
  new StateRegistry(scratch.home).record({ mountpoint, directory: state.directory });
}

/**
 * A daemon that answers the kernel's first request and no other, while a thread of its own waits for its mount: as the thread that
 * tells the kernel of changes may. It holds the state lock, and says when the thread waits.
 */
const DEAF_DAEMON = `
  import { readSync, readdirSync, readFileSync, writeSync } from 'node:fs';
  import { Worker } from 'node:worker_threads';
  import { StateLock } from ${JSON.stringify(new URL('../daemon/state-lock.js', import.meta.url).href)};
  const [directory, mountpoint] = process.argv.slice(1);
  await StateLock.acquire(directory);
  const request = Buffer.alloc(2 << 20);
  const answer = Buffer.alloc(80);
  readSync(3, request);
  answer.writeUInt32LE(80, 0);
  request.copy(answer, 8, 8, 16);
  answer.writeUInt32LE(7, 16);
  answer.writeUInt32LE(31, 20);
  answer.writeUInt32LE(1 << 20, 36);
  writeSync(3, answer);
  const ask = 'import { statSync } from "node:fs"; import { workerData } from "node:worker_threads"; statSync(workerData + "/file");';
  new Worker(ask, { eval: true, workerData: mountpoint });
  setTimeout(() => {
    readSync(3, request); // once it was read, not even SIGKILL ends the wait for its answer
    console.log('deaf');
    setInterval(() => {}, 1000);
  }, 300);
`;

test(
  'a killed daemon whose thread waits for its own mount keeps it for ever, and hangs who asks',
  { skip },
  async () => {
    makeSite();
    const device = openSync('/dev/fuse', 'r+');
    const options = 'fd=3,rootmode=40000,user_id=0,group_id=0,subtype=weft';
    const mounted = spawnSync('mount', ['-i', '-t', 'fuse', '-o', options, 'team', mountpoint], {
      stdio: ['ignore', 'ignore', 'inherit', device],
    });
    assert.equal(mounted.status, 0);
    const args = ['--input-type=module', '-e', DEAF_DAEMON, join(scratch.home, 'team'), mountpoint];
    const daemon = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit', device] });
    closeSync(device);
    try {
      const ended = once(daemon, 'exit').then(() => Promise.reject(new Error('it ended by itself')));
      await Promise.race([once(daemon.stdout!, 'data'), ended]);
      ended.catch(() => {}); // from here on it is to end
      daemon.kill('SIGKILL');
      while (!StateLock.isHolderDead(join(scratch.home, 'team'))) await delay(5);
      await delay(100);
      assert.ok(await StateLock.isHeld(join(scratch.home, 'team')), 'it cannot end');
      assert.match((await scratch.weft(['status', mountpoint])).stdout, /daemon died/);
      const { code, stdout, stderr } = await scratch.weft(['umount', mountpoint]);
      assert.equal(code, 0, stderr);
      assert.match(stdout, /was removed/);
      assert.equal(mountedAt(mountpoint), undefined);
      assert.equal(await StateLock.isHeld(join(scratch.home, 'team')), false);
    } finally {
      while (mountedAt(mountpoint)) detachMount(mountpoint);
      if (daemon.exitCode === null && daemon.signalCode === null) await once(daemon, 'exit');
    }
  },
);

test('a mount without a daemon is recognised, can be mounted over, and is detached', { skip }, () => {
  assert.equal(isDeadMount(mountpoint), false);
  leaveDeadMount();
  assert.equal(mountedAt(mountpoint)?.type, 'fuse.weft');
  assert.equal(isDeadMount(mountpoint), true);
  assert.equal(usableMountpoint(mountpoint, '/elsewhere', false), mountpoint);
  detachMount(mountpoint);
  assert.equal(mountedAt(mountpoint), undefined);
});

test('weft status names a daemon that died, and weft umount removes what it left', { skip }, async () => {
  makeSite();
  leaveDeadMount();
  assert.match((await scratch.weft(['status', mountpoint])).stdout, /daemon died[^]*weft mount .* repairs that/);
  const log = join(scratch.home, 'team', 'daemon.log');
  appendFileSync(log, '{"level":50,"time":"2026-01-02T03:04:05.678Z","msg":"the disk is gone"}\n');
  const ended = /daemon died[^]*it ended: the disk is gone\nweft mount .* starts it again/;
  assert.match((await scratch.weft(['status', mountpoint])).stdout, ended);
  appendFileSync(log, '{"level":30,"time":"2026-01-02T03:04:06.678Z","msg":"mounted"}\n');
  assert.match((await scratch.weft(['status', mountpoint])).stdout, /daemon died[^]*repairs that/);
  const below = await scratch.weft(['invite', join(mountpoint, 'below')]);
  assert.equal(below.code, 1);
  assert.match(below.stderr, /ended without unmounting.*weft mount/);
  const { code, stdout } = await scratch.weft(['umount', mountpoint]);
  assert.equal(code, 0);
  assert.match(stdout, /was removed/);
  assert.equal(mountedAt(mountpoint), undefined);
});

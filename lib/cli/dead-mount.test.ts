import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { StateDirectory } from '../daemon/state-directory.js';
import { StateRegistry } from '../daemon/state-registry.js';
import { detachMount, isDeadMount, mountedAt } from './dead-mount.js';
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
  const config = {
    volumeId: '1'.repeat(32),
    volume: 'team',
    siteId: '2'.repeat(32),
    site: 'paris',
    mountpoint,
    listen: '127.0.0.1:0',
    driver: 'kernel' as const,
    mountOptions: [],
    peers: [],
    slot: null,
  };
  const state = StateDirectory.create(join(scratch.home, 'team'), config, Buffer.alloc(32));
  new StateRegistry(scratch.home).record({ mountpoint, directory: state.directory });
}

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
  const below = await scratch.weft(['invite', join(mountpoint, 'below')]);
  assert.equal(below.code, 1);
  assert.match(below.stderr, /ended without unmounting.*weft mount/);
  const { code, stdout } = await scratch.weft(['umount', mountpoint]);
  assert.equal(code, 0);
  assert.match(stdout, /was removed/);
  assert.equal(mountedAt(mountpoint), undefined);
});

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { explainDisk } from './state-disk.js';
import { Scratch } from './spawn-weft.test-support.js';

/** mount(2) needs it. */
const skip = process.getuid?.() === 0 && process.platform === 'linux' ? false : 'needs root on Linux';

test('a disk that is full or read-only is named with the state directory, whoever found out', () => {
  for (const [message, says] of [
    ['ENOSPC', /^the state directory \/srv\/team cannot be written: its disk is full: free some/],
    ['ENOSPC: no space left on device, write', /disk is full/],
    ['database or disk is full', /disk is full/],
    [
      "EROFS: read-only file system, open '/srv/team/daemon.log'",
      /its disk is read-only: mount it writable, .*--state/,
    ],
  ] as const) {
    assert.match((explainDisk('/srv/team', new Error(message), false) as Error).message, says);
  }
  for (const code of ['UNKNOWN', 'Unknown system error -122']) {
    const error = Object.assign(new Error(`${code}: unknown error, write`), { code, errno: -122, syscall: 'write' });
    assert.match(
      (explainDisk('/srv/team', error, true) as Error).message,
      /your quota of its disk is used up: free some [^,]*$/,
    );
  }
  const other = new Error('no invite');
  assert.equal(explainDisk('/srv/team', other, true), other);
});

test('creating a volume on a full or read-only disk says "ENOSPC" and no more', { skip }, async () => {
  const scratch = new Scratch();
  const disk = scratch.folder('disk');
  const mountpoint = scratch.folder('mnt');
  const create = ['create', 'team', mountpoint, '--state', `${disk}/state`];
  const mount = (...args: string[]): void => assert.equal(spawnSync('mount', args).status, 0);
  mount('-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', disk);
  try {
    const full = await scratch.weft(create);
    assert.equal(full.code, 1);
    assert.match(
      full.stderr,
      /^weft: the state directory \S+\/state cannot be written: its disk is full: free some space.*\n$/,
    );
    mount('-o', 'remount,ro', disk);
    const readOnly = await scratch.weft(create);
    assert.equal(readOnly.code, 1);
    assert.match(readOnly.stderr, /^weft: \S+\/state cannot be made \(EROFS\): choose another state directory.*\n$/);
  } finally {
    spawnSync('umount', [disk]);
    scratch.remove();
  }
});

test('fsck and mount on a disk that has become full say "SQLITE_FULL" and no remedy', { skip }, async () => {
  const scratch = new Scratch();
  const disk = scratch.folder('disk');
  const mountpoint = scratch.folder('mnt');
  const state = `${disk}/state`;
  assert.equal(spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=120m', 'tmpfs', disk]).status, 0);
  try {
    assert.equal((await scratch.weft(['create', 'team', mountpoint, '--state', state])).code, 0);
    assert.equal((await scratch.weft(['umount', mountpoint])).code, 0);
    const filling = spawnSync('dd', ['if=/dev/zero', `of=${disk}/other`, 'bs=4k']);
    assert.equal(filling.status, 1, 'the disk is full');
    for (const [verb, code] of [
      [['fsck', '--state', state], 8],
      [['mount', mountpoint, '--state', state], 1],
    ] as const) {
      const full = await scratch.weft([...verb]);
      assert.equal(full.code, code);
      assert.match(
        full.stderr,
        /^weft: the state directory \S+\/state cannot be written: its disk is full: free some space [^,]*\n$/,
      );
    }
  } finally {
    spawnSync('umount', [mountpoint]);
    spawnSync('umount', [disk]);
    scratch.remove();
  }
});

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
    assert.match((explainDisk('/srv/team', new Error(message)) as Error).message, says);
  }
  for (const code of ['UNKNOWN', 'Unknown system error -122']) {
    const error = Object.assign(new Error(`${code}: unknown error, write`), { code, errno: -122, syscall: 'write' });
    assert.match((explainDisk('/srv/team', error) as Error).message, /your quota of its disk is used up: free some/);
  }
  const other = new Error('no invite');
  assert.equal(explainDisk('/srv/team', other), other);
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

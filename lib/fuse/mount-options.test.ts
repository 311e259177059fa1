import assert from 'node:assert/strict';
import { test } from 'node:test';

import { parseMountOptions } from './mount-options.js';
import { parseMountInfo } from './mount-table.js';

test('options of mount(8) become flags, later ones win', () => {
  const options = parseMountOptions(['ro,nosuid', 'nodev,noexec,noatime,dirsync,sync', 'suid']);
  assert.equal(options.flags, 1 | 4 | 8 | 1024 | 128 | 16);
  assert.deepEqual(options.flagNames, ['ro', 'nodev', 'noexec', 'sync', 'dirsync', 'noatime']);
  assert.equal(parseMountOptions(['ro,rw']).flags, 0);
  assert.equal(parseMountOptions(['relatime,strictatime,norelatime']).flags, 1 << 24);
});

test('words that fstab keeps for others are ignored', () => {
  const words =
    'defaults,user,nouser,auto,noauto,nofail,_netdev,x-systemd.automount,x-gvfs-show,default_permissions,comment=x';
  assert.deepEqual(parseMountOptions([words]), parseMountOptions([]));
});

test('options of FUSE', () => {
  const options = parseMountOptions(['allow_other,max_read=65536,fsname=my team,powersave']);
  assert.deepEqual([options.allowOther, options.maxReadBytes, options.fsname], [true, 65536, 'my team']);
  assert.equal(options.powerSave, true);
  assert.equal(parseMountOptions([]).allowOther, false);
  assert.equal(parseMountOptions([]).powerSave, false);
});

test('an unknown option is named', () => {
  assert.throws(() => parseMountOptions(['ro,frobnicate']), /unknown mount option 'frobnicate'/);
  assert.throws(() => parseMountOptions(['ro=1']), /unknown mount option 'ro=1'/);
  assert.throws(() => parseMountOptions(['toString']), /unknown mount option 'toString'/);
  assert.throws(() => parseMountOptions(['max_read=12']), /max_read=12: give a number of bytes from 4096/);
});

test('the mount table, with escaped names', () => {
  const line = '36 35 98:0 / /mnt/my\\040dir rw,noatime master:1 - fuse.weft te\\134am rw,user_id=0';
  assert.deepEqual(parseMountInfo(`${line}\n\nnonsense\n`), [
    { mountpoint: '/mnt/my dir', type: 'fuse.weft', source: 'te\\am' },
  ]);
});

// mounts.test.ts — reading of mountinfo lines.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { filesystemType, mountsBelow, parseMountInfo } from './mounts.js';

test('optional fields and escaped blanks in mountinfo', () => {
  const text = [
    '22 1 254:0 / / rw,relatime - ext4 /dev/vda rw',
    '36 22 0:32 / /mnt/with\\040blank rw,nosuid shared:1 master:2 - fuse.weft team rw,user_id=0',
    '',
  ].join('\n');
  assert.deepEqual(parseMountInfo(text), [
    { mountpoint: '/', type: 'ext4', source: '/dev/vda' },
    { mountpoint: '/mnt/with blank', type: 'fuse.weft', source: 'team' },
  ]);
});

test('a line that is none of mountinfo is named', () => {
  assert.throws(() => parseMountInfo('22 1 254:0 / / rw\n'), /not a line of mountinfo: 22 1/);
});

test('the mounts of this machine', () => {
  assert.equal(filesystemType('/proc/self'), 'proc');
  assert.ok(mountsBelow('/proc').some((mount) => mount.mountpoint === '/proc'));
});

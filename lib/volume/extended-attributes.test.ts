// extended-attributes.test.ts — answers of xattr calls that only the filesystem gives.

import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { VolumeFixture } from './volume-fixture.test-support.js';

function file(t: TestContext): { volume: VolumeFixture['volume']; ino: number } {
  const fixture = VolumeFixture.create();
  t.after(() => fixture.remove());
  return { volume: fixture.volume, ino: fixture.write('file', 'content') };
}

test('a namespace without a name behind it is EINVAL, an unknown one EOPNOTSUPP', (t) => {
  const { volume, ino } = file(t);
  for (const name of ['user.', 'trusted.', 'security.']) {
    assert.throws(() => volume.files.getxattr(ino, name), { code: 'EINVAL' });
    assert.throws(() => volume.files.setxattr(ino, name, Buffer.from('v'), 0, false), { code: 'EINVAL' });
    assert.throws(() => volume.files.removexattr(ino, name), { code: 'EINVAL' });
  }
  for (const name of ['user', 'unknown.x', 'system.other']) {
    assert.throws(() => volume.files.setxattr(ino, name, Buffer.from('v'), 0, false), { code: 'EOPNOTSUPP' });
  }
});

test('removing an access list that is not there is no error', (t) => {
  const { volume, ino } = file(t);
  const before = volume.files.getattr(ino).ctime;
  volume.files.removexattr(ino, 'system.posix_acl_access');
  volume.files.removexattr(ino, 'system.posix_acl_default');
  assert.deepEqual(volume.files.getattr(ino).ctime, before);
  assert.throws(() => volume.files.removexattr(ino, 'user.missing'), { code: 'ENODATA' });
});

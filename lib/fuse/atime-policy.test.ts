// atime-policy.test.ts — what mount options mean for atime.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { atimePolicy, RELATIME } from './atime-policy.js';
import { parseMountOptions } from './mount-options.js';

function policyOf(...options: string[]): ReturnType<typeof atimePolicy> {
  return atimePolicy(parseMountOptions(options));
}

test('relatime unless said otherwise', () => {
  assert.deepEqual(policyOf(), RELATIME);
  assert.deepEqual(policyOf('relatime'), RELATIME);
  assert.deepEqual(policyOf('noatime,atime'), RELATIME);
});

test('noatime, nodiratime, strictatime', () => {
  assert.deepEqual(policyOf('noatime'), { files: false, directories: false, always: false });
  assert.deepEqual(policyOf('nodiratime'), { files: true, directories: false, always: false });
  assert.deepEqual(policyOf('strictatime'), { files: true, directories: true, always: true });
});

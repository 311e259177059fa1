// group-membership.test.ts — reading the supplementary groups of a caller.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { isMember, supplementaryGroups } from './group-membership.js';

test('supplementary groups as /proc/PID/status spells them', () => {
  assert.deepEqual(
    supplementaryGroups('Name:\tx\nGid:\t5\t5\t5\t5\nGroups:\t4 24 27 1000 \nNStgid:\t1\n'),
    [4, 24, 27, 1000],
  );
  assert.deepEqual(supplementaryGroups('Name:\tx\nGroups:\t \nNStgid:\t1\n'), []);
  assert.deepEqual(supplementaryGroups('Name:\tGroups\n'), []);
});

test('root, a group of its own, its supplementary groups; who is not to be seen is a member', () => {
  const pid = process.pid;
  const supplementary = supplementaryGroups(readFileSync('/proc/self/status', 'latin1'));
  const stranger = Math.max(0, ...supplementary) + 77_000;
  assert.equal(isMember({ uid: 0, gid: 0, pid }, stranger), true);
  assert.equal(isMember({ uid: 5, gid: stranger, pid }, stranger), true);
  assert.equal(isMember({ uid: 5, gid: 6, pid }, stranger), false);
  for (const group of supplementary) assert.equal(isMember({ uid: 5, gid: stranger, pid }, group), true);
  assert.equal(isMember({ uid: 5, gid: 6, pid: 0 }, stranger), true);
});

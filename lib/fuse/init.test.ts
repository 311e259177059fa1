import assert from 'node:assert/strict';
import { test } from 'node:test';

import { CAPTURED } from './captured-requests.test-support.js';
import { agree, decodeInit, putInit } from './init.js';
import { decodeRequest } from './requests.js';

const captured = Buffer.from(CAPTURED.INIT, 'hex');
const init = decodeInit(decodeRequest(captured, captured.length).body);

const POSIX_LOCKS = 1 << 1;
const FLOCK_LOCKS = 1 << 10;
const AUTO_INVAL_DATA = 1 << 12;
const WRITEBACK_CACHE = 1 << 16;

test('with the captured INIT: the latest protocol, and locks and writeback stay with the kernel', () => {
  const agreement = agree(init);
  assert.equal(agreement.minor, 45);
  assert.equal(agreement.extendedSetxattr, true);
  assert.equal(agreement.noOpendir, true);
  assert.equal(agreement.low & (POSIX_LOCKS | FLOCK_LOCKS | AUTO_INVAL_DATA | WRITEBACK_CACHE), 0);
});

test('nothing is asked for that the kernel does not offer', () => {
  for (let bit = 0; bit < 32; bit++) {
    const low = (1 << bit) >>> 0;
    assert.equal((agree({ ...init, low, high: 0xffff_ffff }).low & ~low) >>> 0, 0);
  }
  assert.equal(agree({ ...init, low: 0, high: 0xffff_ffff }).high, 0, 'the second word needs INIT_EXT');
  assert.equal(agree({ ...init, low: 0 }).extendedSetxattr, false);
});

test('passthrough is agreed where it is offered, to files of filesystems that are not stacked', () => {
  const PASSTHROUGH = 1 << 5;
  const reply = Buffer.alloc(64, 0xee);
  for (const offered of [true, false]) {
    const high = offered ? init.high | PASSTHROUGH : init.high & ~PASSTHROUGH;
    const agreement = agree({ ...init, high });
    assert.equal(agreement.passthrough, offered);
    putInit(reply, init, agreement, 0);
    assert.equal(reply.readUInt32LE(32) & PASSTHROUGH, offered ? PASSTHROUGH : 0);
    assert.equal(reply.readUInt32LE(36), offered ? 1 : 0, 'max_stack_depth');
  }
});

test('a kernel that is too old is refused with the remedy', () => {
  assert.throws(() => agree({ ...init, minor: 30 }), /FUSE 7\.30, at least 7\.31 is needed: use Linux 5\.4/);
  assert.throws(() => agree({ ...init, major: 6 }), /FUSE 6/);
  assert.equal(agree({ ...init, minor: 31 }).minor, 31);
  assert.equal(agree({ ...init, minor: 99 }).minor, 45);
});

test('the reply says 1 MiB transfers in 256 pages and nanosecond times', () => {
  const reply = Buffer.alloc(64, 0xee);
  assert.equal(putInit(reply, init, agree(init), 0), 64);
  assert.equal(reply.readUInt32LE(0), 7);
  assert.equal(reply.readUInt32LE(4), 45);
  assert.equal(reply.readUInt32LE(20), 1 << 20);
  assert.equal(reply.readUInt32LE(24), 1);
  assert.equal(reply.readUInt16LE(28), 256);
});

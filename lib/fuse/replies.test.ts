import assert from 'node:assert/strict';
import { test } from 'node:test';

import fc from 'fast-check';

import type { Attributes } from '../volume/file-system.js';
import { direntLength, direntPlusLength, putDirent, putDirentPlus } from './dirents.js';
import { entryDeletedNotice, invalidateEntryNotice, invalidateInodeNotice } from './notices.js';
import {
  ENTRY_OUT_LENGTH,
  put64,
  putAttr,
  putEntry,
  putNegativeEntry,
  putSigned64,
  putStatfs,
  putStatx,
} from './replies.js';

const time = fc.record(
  { s: fc.integer({ min: -(2 ** 52), max: 2 ** 52 }), ns: fc.integer({ min: 0, max: 999_999_999 }) },
  { noNullPrototype: true },
);
const u32 = fc.integer({ min: 0, max: 2 ** 32 - 1 });
const attributes: fc.Arbitrary<Attributes> = fc.record({
  ino: fc.maxSafeNat(),
  mode: fc.integer({ min: 0, max: 0o177777 }),
  nlink: u32,
  uid: u32,
  gid: u32,
  rdev: u32,
  size: fc.maxSafeNat(),
  blocks: fc.maxSafeNat(),
  atime: time,
  mtime: time,
  ctime: time,
  btime: time,
});

/** Reads struct fuse_attr back. */
function readAttr(buffer: Buffer, at: number): Omit<Attributes, 'btime'> {
  const when = (seconds: number, ns: number) => ({
    s: Number(buffer.readBigInt64LE(at + seconds)),
    ns: buffer.readUInt32LE(at + ns),
  });
  return {
    ino: Number(buffer.readBigUInt64LE(at)),
    size: Number(buffer.readBigUInt64LE(at + 8)),
    blocks: Number(buffer.readBigUInt64LE(at + 16)),
    atime: when(24, 48),
    mtime: when(32, 52),
    ctime: when(40, 56),
    mode: buffer.readUInt32LE(at + 60),
    nlink: buffer.readUInt32LE(at + 64),
    uid: buffer.readUInt32LE(at + 68),
    gid: buffer.readUInt32LE(at + 72),
    rdev: buffer.readUInt32LE(at + 76),
  };
}

test('64-bit integers, signed and not', () => {
  const buffer = Buffer.alloc(8);
  fc.assert(
    fc.property(fc.maxSafeNat(), (value) => {
      assert.equal(put64(buffer, value, 0), 8);
      assert.equal(buffer.readBigUInt64LE(0), BigInt(value));
    }),
  );
  fc.assert(
    fc.property(fc.maxSafeInteger(), (value) => {
      assert.equal(putSigned64(buffer, value, 0), 8);
      assert.equal(buffer.readBigInt64LE(0), BigInt(value));
    }),
  );
});

test('attributes of ATTR and ENTRY replies', () => {
  const buffer = Buffer.alloc(256, 0xee);
  fc.assert(
    fc.property(attributes, (given) => {
      const { btime: _, ...expected } = given;
      assert.equal(putAttr(buffer, given, 60, 8), 8 + 104);
      assert.deepEqual(readAttr(buffer, 24), expected);
      assert.equal(putEntry(buffer, given, 60, 8), 8 + ENTRY_OUT_LENGTH);
      assert.deepEqual(readAttr(buffer, 8 + 40), expected);
      assert.equal(buffer.readBigUInt64LE(8), BigInt(given.ino));
      assert.equal(buffer.readBigUInt64LE(16), 0n, 'generation');
    }),
  );
});

test('a negative entry has node id 0 and a time to live', () => {
  const buffer = Buffer.alloc(ENTRY_OUT_LENGTH, 0xee);
  assert.equal(putNegativeEntry(buffer, 0), ENTRY_OUT_LENGTH);
  assert.equal(buffer.readBigUInt64LE(0), 0n);
  assert.ok(buffer.readBigUInt64LE(16) > 0n);
});

test('STATX carries the time of birth, and device numbers apart', () => {
  const buffer = Buffer.alloc(400, 0xee);
  const major = 259;
  const minor = 0x12345;
  const rdev = ((minor & 0xff) | (major << 8) | ((minor & ~0xff) << 12)) >>> 0;
  fc.assert(
    fc.property(attributes, (given) => {
      assert.equal(putStatx(buffer, { ...given, rdev }, 60, 0), 288);
      const stat = 32;
      assert.equal(buffer.readUInt16LE(stat + 28), given.mode);
      assert.equal(buffer.readBigUInt64LE(stat + 40), BigInt(given.size));
      assert.equal(buffer.readBigInt64LE(stat + 80), BigInt(given.btime.s));
      assert.equal(buffer.readUInt32LE(stat + 88), given.btime.ns);
      assert.equal(buffer.readUInt32LE(stat + 128), major);
      assert.equal(buffer.readUInt32LE(stat + 132), minor);
    }),
  );
});

test('STATFS', () => {
  const buffer = Buffer.alloc(80, 0xee);
  const end = putStatfs(
    buffer,
    { blockSize: 4096, blocks: 10, blocksFree: 9, blocksAvailable: 8, files: 7, filesFree: 6, nameLength: 255 },
    0,
  );
  assert.equal(end, 80);
  const numbers = [0, 8, 16, 24, 32].map((at) => Number(buffer.readBigUInt64LE(at)));
  assert.deepEqual(numbers, [10, 9, 8, 7, 6]);
  assert.deepEqual(
    [40, 44, 48].map((at) => buffer.readUInt32LE(at)),
    [4096, 255, 4096],
  );
});

test('directory records are padded to 8 bytes and hold the name as it is', () => {
  const name = fc.uint8Array({ minLength: 1, maxLength: 255 }).map((bytes) => Buffer.from(bytes).toString('latin1'));
  const buffer = Buffer.alloc(1024);
  fc.assert(
    fc.property(name, fc.maxSafeNat(), fc.maxSafeNat(), attributes, (text, ino, cookie, given) => {
      const entry = { name: text, ino, cookie, type: 8 };
      buffer.fill(0xee);
      assert.equal(putDirent(buffer, entry, 8), 8 + direntLength(text));
      assert.equal(direntLength(text) % 8, 0);
      assert.equal(buffer.readBigUInt64LE(8), BigInt(ino));
      assert.equal(buffer.readBigUInt64LE(16), BigInt(cookie));
      assert.equal(buffer.toString('latin1', 32, 32 + buffer.readUInt32LE(24)), text);
      assert.equal(buffer[8 + direntLength(text)], 0xee, 'nothing is written behind the record');

      assert.equal(putDirentPlus(buffer, entry, given, 60, 0), direntPlusLength(text));
      assert.equal(buffer.readBigUInt64LE(0), BigInt(given.ino));
      putDirentPlus(buffer, entry, undefined, 60, 0);
      assert.equal(buffer.readBigUInt64LE(0), 0n);
    }),
  );
});

test('notices say their length, have unique 0, and end names with NUL', () => {
  const entry = invalidateEntryNotice(5, 'n\xe4me');
  assert.equal(entry.readUInt32LE(0), entry.length);
  assert.equal(entry.readInt32LE(4), 3);
  assert.equal(entry.readBigUInt64LE(8), 0n);
  assert.equal(entry.readUInt32LE(24), 4);
  assert.equal(entry.toString('latin1', 32), 'n\xe4me\0');

  const deleted = entryDeletedNotice(5, 'x', 2 ** 50);
  assert.equal(deleted.readInt32LE(4), 6);
  assert.equal(deleted.readBigUInt64LE(24), 2n ** 50n);
  assert.equal(deleted.toString('latin1', 40), 'x\0');

  assert.equal(invalidateInodeNotice(7, true).readBigInt64LE(24), 0n);
  assert.equal(invalidateInodeNotice(7, false).readBigInt64LE(24), -1n);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';

import fc from 'fast-check';

import { ByteReader, ByteWriter, CorruptionError } from '../codec/bytes.js';
import { attributeChanges } from './attribute-handlers.js';
import { CAPTURED } from './captured-requests.test-support.js';
import { decodeInit } from './init.js';
import { OPCODE } from './opcodes.js';
import {
  decodeBatchForget,
  decodeCopyFileRange,
  decodeCreate,
  decodeFallocate,
  decodeFsync,
  decodeLink,
  decodeLseek,
  decodeMkdir,
  decodeMknod,
  decodeOpen,
  decodeRead,
  decodeRelease,
  decodeRename,
  decodeRequest,
  decodeSetattr,
  decodeSetxattr,
  decodeString,
  decodeSymlink,
  decodeWrite,
  decodeXattrSize,
  FATTR,
  REQUEST_HEADER_LENGTH,
} from './requests.js';

function captured(kind: keyof typeof CAPTURED) {
  const bytes = Buffer.from(CAPTURED[kind], 'hex');
  return decodeRequest(bytes, bytes.length);
}

function body(kind: keyof typeof CAPTURED): ByteReader {
  return captured(kind).body;
}

const FIRST_INO = 2 ** 39 + 1;

test('the header of a captured request', () => {
  const request = captured('UNLINK');
  assert.equal(request.opcode, OPCODE.UNLINK);
  assert.equal(request.node, FIRST_INO);
  assert.equal(request.uid, 0);
  assert.ok(request.unique > 0 && request.pid > 0);
  assert.equal(decodeString(request.body), 'hard');
  assert.equal(captured('OPEN_TRUNCATE_KILL').uid, 1234);
  assert.equal(captured('OPEN_TRUNCATE_KILL').gid, 4321);
});

test('captured requests that carry names', () => {
  assert.equal(decodeString(body('LOOKUP')), 'dir');
  assert.deepEqual(decodeMkdir(body('MKDIR')), { mode: 0o751, umask: 0o027, name: 'dir' });
  assert.deepEqual(decodeCreate(body('CREATE')), { flags: 0o101101, mode: 0o100666, umask: 0o027, name: 'file' });
  assert.deepEqual(decodeCreate(body('TMPFILE')), { flags: 0o20300002, mode: 0o100604, umask: 0o027, name: '/' });
  assert.deepEqual(decodeMknod(body('MKNOD')), { mode: 0o020666, rdev: 0x103, umask: 0o027, name: 'null' });
  assert.deepEqual(decodeSymlink(body('SYMLINK')), { name: 'sym', target: 'to/there' });
  assert.deepEqual(decodeLink(body('LINK')), { ino: FIRST_INO + 1, name: 'hard' });
  assert.deepEqual(decodeRename(body('RENAME'), false), {
    newParent: FIRST_INO,
    flags: 0,
    name: 'hard',
    newName: 'hard',
  });
  assert.deepEqual(decodeRename(body('RENAME2'), true), { newParent: 1, flags: 2, name: 'copy', newName: 'file' });
  assert.equal(decodeString(body('RMDIR')), 'dir');
});

test('captured requests on open files', () => {
  assert.deepEqual(decodeOpen(body('OPEN_READ_WRITE')), { flags: 0o100002, killSuidGid: false });
  assert.deepEqual(decodeOpen(body('OPEN_TRUNCATE_KILL')), { flags: 0o101001, killSuidGid: true });
  const read = decodeRead(body('READ'));
  assert.equal(read.offset, 0);
  assert.ok(read.handle > 0 && read.size >= 4096);
  const write = decodeWrite(body('WRITE'));
  assert.deepEqual([write.offset, write.data.toString(), write.killSuidGid], [0, 'hello', false]);
  const kill = decodeWrite(body('WRITE_KILL'));
  assert.deepEqual([kill.offset, kill.data.toString(), kill.killSuidGid], [2, 'y\n', true]);
  assert.equal(decodeRelease(body('RELEASE')).handle, 1);
  assert.equal(decodeFsync(body('FSYNC_DATA')).dataOnly, true);
  const fallocate = decodeFallocate(body('FALLOCATE'));
  assert.deepEqual([fallocate.mode, fallocate.offset, fallocate.length], [3, 4096, 8192]);
  const lseek = decodeLseek(body('LSEEK'));
  assert.deepEqual([lseek.offset, lseek.whence], [5, 3]);
  const copy = decodeCopyFileRange(body('COPY_FILE_RANGE_64'));
  assert.deepEqual([copy.sourceOffset, copy.targetOffset, copy.length], [1, 2, 7]);
  assert.ok(copy.source !== copy.target && copy.targetNode > FIRST_INO);
});

test('captured SETATTR requests become changes of attributes', () => {
  assert.deepEqual(attributeChanges(decodeSetattr(body('SETATTR_MODE'))), { mode: 0o4755 });
  assert.deepEqual(attributeChanges(decodeSetattr(body('SETATTR_CHOWN'))), { uid: 7, gid: 8, killSuidGid: true });
  assert.deepEqual(attributeChanges(decodeSetattr(body('SETATTR_TIMES'))), {
    atime: { s: -5, ns: 999_999_999 },
    mtime: { s: 1e9, ns: 1 },
  });
  assert.deepEqual(attributeChanges(decodeSetattr(body('SETATTR_NOW'))), { atime: 'now' });
  assert.deepEqual(attributeChanges(decodeSetattr(body('SETATTR_NOTHING'))), { killSuidGid: true });
  const size = decodeSetattr(body('SETATTR_SIZE'));
  assert.deepEqual(attributeChanges(size), { size: 3 });
  assert.equal(size.valid & FATTR.FH, FATTR.FH);
});

test('captured requests on extended attributes and on the connection', () => {
  const setxattr = decodeSetxattr(body('SETXATTR'), true);
  assert.deepEqual(
    [setxattr.name, setxattr.value.toString(), setxattr.flags, setxattr.killSgid],
    ['user.k', 'value', 1, false],
  );
  const getxattr = body('GETXATTR');
  assert.equal(decodeXattrSize(getxattr) >= 0, true);
  assert.match(decodeString(getxattr), /^(security|system|user)\./);
  const init = decodeInit(body('INIT'));
  assert.deepEqual([init.major, init.minor], [7, 45]);
});

/** Decoders by captured kind. */
const DECODERS: Partial<Record<keyof typeof CAPTURED, (body: ByteReader) => unknown>> = {
  LOOKUP: decodeString,
  MKDIR: decodeMkdir,
  CREATE: decodeCreate,
  TMPFILE: decodeCreate,
  MKNOD: decodeMknod,
  SYMLINK: decodeSymlink,
  LINK: decodeLink,
  RENAME: (reader) => decodeRename(reader, false),
  RENAME2: (reader) => decodeRename(reader, true),
  OPEN_READ_WRITE: decodeOpen,
  READ: decodeRead,
  WRITE: decodeWrite,
  RELEASE: decodeRelease,
  FSYNC_DATA: decodeFsync,
  FALLOCATE: decodeFallocate,
  LSEEK: decodeLseek,
  COPY_FILE_RANGE_64: decodeCopyFileRange,
  SETATTR_CHOWN: decodeSetattr,
  SETXATTR: (reader) => decodeSetxattr(reader, true),
};

test('a request cut anywhere is a CorruptionError, whatever follows it in the buffer', () => {
  for (const [kind, decode] of Object.entries(DECODERS)) {
    const whole = Buffer.from(CAPTURED[kind as keyof typeof CAPTURED], 'hex');
    const buffer = Buffer.concat([whole, whole]);
    for (let end = REQUEST_HEADER_LENGTH; end < whole.length; end++) {
      assert.throws(
        () => decode(new ByteReader(buffer, REQUEST_HEADER_LENGTH, end)),
        CorruptionError,
        `${kind} cut at ${end}`,
      );
    }
  }
});

test('a header that is short, or lies about the length, is a CorruptionError', () => {
  const whole = Buffer.from(CAPTURED.LOOKUP, 'hex');
  for (let length = 0; length < whole.length; length++) {
    assert.throws(() => decodeRequest(whole, length), CorruptionError, `length ${length}`);
  }
  const extended = Buffer.from(whole);
  extended.writeUInt16LE(1, 36);
  assert.throws(() => decodeRequest(extended, extended.length), CorruptionError);
});

test('extensions behind the body are left out of it', () => {
  const whole = Buffer.from(CAPTURED.LOOKUP, 'hex');
  const extended = Buffer.concat([whole, Buffer.alloc(16, 0xff)]);
  extended.writeUInt32LE(extended.length, 0);
  extended.writeUInt16LE(2, 36);
  const request = decodeRequest(extended, extended.length);
  assert.equal(decodeString(request.body), 'dir');
  assert.equal(request.body.remaining, 0);
});

const u32 = fc.integer({ min: 0, max: 2 ** 32 - 1 });
const safe = fc.maxSafeNat();
const name = fc
  .uint8Array({ minLength: 1, maxLength: 255, min: 1 })
  .map((bytes) => Buffer.from(bytes).toString('latin1'));

test('numbers and names survive encoding and decoding', () => {
  fc.assert(
    fc.property(safe, safe, u32, fc.uint8Array({ maxLength: 100 }), (handle, offset, flags, data) => {
      const writer = new ByteWriter().safe64(handle).safe64(offset).u32(data.length).u32(flags);
      writer.safe64(0).safe64(0).raw(data);
      const write = decodeWrite(new ByteReader(writer.copy()));
      assert.deepEqual([write.handle, write.offset, write.killSuidGid], [handle, offset, (flags & 4) !== 0]);
      assert.deepEqual(new Uint8Array(write.data), data);
    }),
  );
  fc.assert(
    fc.property(safe, u32, name, name, (newParent, flags, from, to) => {
      const writer = new ByteWriter().safe64(newParent).u32(flags).u32(0);
      writer.raw(Buffer.from(`${from}\0${to}\0`, 'latin1'));
      assert.deepEqual(decodeRename(new ByteReader(writer.copy()), true), {
        newParent,
        flags,
        name: from,
        newName: to,
      });
    }),
  );
});

test('seconds of SETATTR are signed, and clamped to what a number holds', () => {
  const bytes = Buffer.from(CAPTURED.SETATTR_TIMES, 'hex');
  const atimeAt = REQUEST_HEADER_LENGTH + 32;
  fc.assert(
    fc.property(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), (seconds) => {
      bytes.writeBigInt64LE(seconds, atimeAt);
      const limit = BigInt(Number.MAX_SAFE_INTEGER);
      const clamped = seconds > limit ? limit : seconds < -limit ? -limit : seconds;
      assert.equal(BigInt(decodeSetattr(decodeRequest(bytes, bytes.length).body).atime.s), clamped);
    }),
  );
});

test('offsets above 2^53 stay above it', () => {
  const bytes = Buffer.from(CAPTURED.READ, 'hex');
  for (const offset of [2n ** 53n, 2n ** 63n - 1n]) {
    bytes.writeBigUInt64LE(offset, REQUEST_HEADER_LENGTH + 8);
    assert.ok(decodeRead(decodeRequest(bytes, bytes.length).body).offset > Number.MAX_SAFE_INTEGER);
  }
});

test('the nodes of a captured BATCH_FORGET, and one that says more than it holds', () => {
  const nodes: number[] = [];
  decodeBatchForget(body('BATCH_FORGET'), (node) => nodes.push(node));
  assert.deepEqual(
    nodes,
    Array.from({ length: 6 }, (_, n) => FIRST_INO + 1 + n),
  );
  const writer = new ByteWriter(64);
  writer.u32(2);
  writer.u32(0);
  for (const word of [7, 0, 1, 0]) writer.u32(word);
  const bytes = Buffer.from(writer.view());
  assert.throws(() => decodeBatchForget(new ByteReader(bytes, 0, bytes.length), () => undefined), CorruptionError);
});

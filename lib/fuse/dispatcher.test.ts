import assert from 'node:assert/strict';
import { test } from 'node:test';

import fc from 'fast-check';

import { AbsentObjects } from '../chunks/absent-objects.js';
import { CorruptionError } from '../codec/bytes.js';
import { posixError } from '../errno.js';
import type { KernelCache } from '../volume/ports.js';
import { BackingFiles } from './backing-files.js';
import { CAPTURED } from './captured-requests.test-support.js';
import { Dispatcher } from './dispatcher.js';
import type { DriverLog } from './driver-log.js';
import { agree, decodeInit } from './init.js';
import { MemoryFileSystem } from './memory-file-system.test-support.js';
import { decodeRequest } from './requests.js';

const initBytes = Buffer.from(CAPTURED.INIT, 'hex');
const agreement = agree(decodeInit(decodeRequest(initBytes, initBytes.length).body));
const cache: KernelCache = { invalidateEntry: () => {}, entryDeleted: () => {}, invalidateInode: () => {} };
const silent: DriverLog = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };
const NO_DEVICE = -1;
const backings = new BackingFiles(NO_DEVICE, silent);

function dispatch(dispatcher: Dispatcher, bytes: Buffer): { result: number | AbsentObjects; errno: number } {
  const result = dispatcher.handle(decodeRequest(bytes, bytes.length));
  return { result, errno: -dispatcher.reply.readInt32LE(4) };
}

test('whatever a filesystem throws has an errno, and what is not an answer is logged', () => {
  const logged: string[] = [];
  const log: DriverLog = { ...silent, error: (_, message) => logged.push(message) };
  const thrown: [unknown, number][] = [
    [posixError('ENOTEMPTY'), 39],
    [new CorruptionError('bad page'), 5],
    [new TypeError('x is not a function'), 5],
    ['a string', 5],
  ];
  for (const [error, expected] of thrown) {
    const fileSystem = new MemoryFileSystem();
    fileSystem.lookup = () => {
      throw error;
    };
    const { result, errno } = dispatch(
      new Dispatcher(fileSystem, agreement, cache, backings, log),
      Buffer.from(CAPTURED.LOOKUP, 'hex'),
    );
    assert.deepEqual([result, errno], [16, expected]);
  }
  assert.equal(logged.length, 3);
  assert.match(logged[0]!, /LOOKUP answered EIO/);
});

test('what a reply opened that the kernel did not take is closed again', () => {
  const fileSystem = new MemoryFileSystem();
  const released: number[] = [];
  fileSystem.release = (handle) => void released.push(handle);
  const dispatcher = new Dispatcher(fileSystem, agreement, cache, backings, silent);
  for (const kind of ['CREATE', 'TMPFILE', 'OPEN_READ_WRITE'] as const) {
    const bytes = Buffer.from(CAPTURED[kind], 'hex');
    const request = decodeRequest(bytes, bytes.length);
    fileSystem.open = () => ({ handle: 2 ** 40 + 3, keepCache: true, directIo: false });
    dispatcher.undo(request, dispatcher.handle(request) as number);
  }
  const getattr = Buffer.from(CAPTURED.GETATTR, 'hex');
  const request = decodeRequest(getattr, getattr.length);
  dispatcher.undo(request, dispatcher.handle(request) as number);
  assert.deepEqual(released, [1, 2, 2 ** 40 + 3]);
});

test('absent objects come back to the caller, and no reply is made', () => {
  const fileSystem = new MemoryFileSystem();
  fileSystem.read = () => {
    throw new AbsentObjects(['abc']);
  };
  const { result } = dispatch(
    new Dispatcher(fileSystem, agreement, cache, backings, silent),
    Buffer.from(CAPTURED.READ, 'hex'),
  );
  assert.ok(result instanceof AbsentObjects);
});

test('unknown opcodes are ENOSYS; FORGET has no reply', () => {
  const dispatcher = new Dispatcher(new MemoryFileSystem(), agreement, cache, backings, silent);
  const unknown = Buffer.from(CAPTURED.GETATTR, 'hex');
  for (const opcode of [7, 25, 34, 39, 40, 63, 64, 4096, 0xffff_ffff]) {
    unknown.writeUInt32LE(opcode, 4);
    assert.deepEqual(dispatch(dispatcher, unknown), { result: 16, errno: 38 });
  }
  assert.equal(dispatch(dispatcher, Buffer.from(CAPTURED.FORGET, 'hex')).result, 0);
  assert.equal(dispatch(dispatcher, Buffer.from(CAPTURED.BATCH_FORGET, 'hex')).result, 0);
});

test('a request with damaged bytes gets one reply and never an exception', () => {
  const kinds = Object.keys(CAPTURED) as (keyof typeof CAPTURED)[];
  const damage = fc.array(fc.tuple(fc.nat({ max: 200 }), fc.nat({ max: 255 })), { maxLength: 6 });
  const dispatcher = new Dispatcher(new MemoryFileSystem(), agreement, cache, backings, silent);
  fc.assert(
    fc.property(fc.constantFrom(...kinds), damage, fc.nat({ max: 60 }), (kind, changes, cut) => {
      const whole = Buffer.from(CAPTURED[kind], 'hex');
      const bytes = Buffer.from(whole.subarray(0, Math.max(40, whole.length - cut)));
      for (const [at, value] of changes) {
        if (at >= 16 && at < bytes.length && at !== 36 && at !== 37 && at !== 23) bytes[at] = value;
      }
      bytes.writeUInt32LE(bytes.length, 0);
      bytes.writeUInt8(0, 22);
      const { result } = dispatch(dispatcher, bytes);
      if (typeof result === 'number') assert.ok(result >= 0 && result <= dispatcher.reply.length);
    }),
    { numRuns: 3000 },
  );
});

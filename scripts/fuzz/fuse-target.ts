// fuse-target.ts — requests of the kernel, to a filesystem that has nothing: each gets one answer, and no argument that no filesystem could
// be given reaches it.

import assert from 'node:assert/strict';
import { CorruptionError } from '../../lib/codec/bytes.js';
import { posixError } from '../../lib/errno.js';
import { BackingFiles } from '../../lib/fuse/backing-files.js';
import { Dispatcher } from '../../lib/fuse/dispatcher.js';
import type { DriverLog } from '../../lib/fuse/driver-log.js';
import { agree } from '../../lib/fuse/init.js';
import { OPCODE_LIMIT, opcodeName } from '../../lib/fuse/opcodes.js';
import { decodeRequest, REQUEST_HEADER_LENGTH } from '../../lib/fuse/requests.js';
import type { Random } from '../../lib/sim/random.js';
import type { FileSystem } from '../../lib/volume/file-system.js';
import type { Target } from './targets.js';

const EXTRA_OPCODES = 8;
const BODIES = ['name\0', 'old\0new\0', 'user.key\0value', '\0'];

/** Takes any call, and looks at what it was given. */
const nothing = new Proxy({} as FileSystem, {
  get: (_target, method) => {
    if (method === 'settle') return () => {};
    return (...args: unknown[]): never => {
      for (const arg of args) checkArgument(String(method), arg);
      throw posixError('ENOENT');
    };
  },
});

function checkArgument(method: string, arg: unknown): void {
  if (typeof arg === 'number') assert.ok(!Number.isNaN(arg), `${method}(NaN)`);
  if (typeof arg === 'string') assert.doesNotMatch(arg, /[\u0100-\uffff]/, `${method}: no bytes`);
}

let bug: Error | undefined;
const log: DriverLog = {
  debug: () => {},
  info: () => {},
  warn: () => {},
  error: (details) => {
    const { err } = details as { err?: unknown };
    if (!(err instanceof CorruptionError)) bug = err as Error;
  },
};
const cache = { invalidateEntry: () => {}, entryDeleted: () => {}, invalidateInode: () => {} };
const agreement = agree({ major: 7, minor: 45, maxReadahead: 131_072, low: 0xffff_ffff, high: 0xff });
const dispatcher = new Dispatcher(nothing, agreement, cache, new BackingFiles(-1, log), log);

function header(random: Random, body: Buffer): Buffer {
  const bytes = Buffer.alloc(REQUEST_HEADER_LENGTH);
  bytes.writeUInt32LE(REQUEST_HEADER_LENGTH + body.length, 0);
  bytes.writeUInt32LE(random.below(OPCODE_LIMIT + EXTRA_OPCODES), 4);
  bytes.writeUInt32LE(1 + random.below(99), 8);
  bytes.writeUInt32LE(1 + random.below(9), 16);
  return Buffer.concat([bytes, body]);
}

export const fuseTarget: Target = {
  name: 'fuse',
  what: 'requests of the kernel',
  generate: (random) => {
    const fixed = Buffer.from(random.hex(random.below(80)), 'hex');
    return header(
      random,
      Buffer.concat([random.chance(0.5) ? Buffer.alloc(random.below(70)) : fixed, Buffer.from(random.pick(BODIES)!)]),
    );
  },
  run: (input) => {
    const bytes = Buffer.from(input);
    // The device gives whole requests: a wrong length would hide what is behind it.
    if (bytes.length >= 4) bytes.writeUInt32LE(bytes.length, 0);
    bug = undefined;
    let request;
    try {
      request = decodeRequest(bytes, bytes.length);
    } catch (error) {
      if (error instanceof CorruptionError) return 'no request';
      throw error;
    }
    const length = dispatcher.handle(request);
    if (bug !== undefined) throw bug;
    const errno = length === 0 ? 'no reply' : dispatcher.reply.readInt32LE(4);
    return `${opcodeName(request.opcode)} ${errno}`;
  },
};

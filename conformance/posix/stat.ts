// stat.ts — what statx(2) says of a file, and which of it changed. Times are nanoseconds since 1970, as bigint.

import { must, outcome, type Path, type Result } from './libc.js';
import { AT_EMPTY_PATH, AT_FDCWD, AT_SYMLINK_NOFOLLOW, statx } from './path-calls.js';

export interface Stat {
  /** STATX_*: which fields the filesystem filled in. */
  readonly mask: number;
  readonly ino: bigint;
  /** S_IFMT bits. */
  readonly type: number;
  /** The other twelve bits. */
  readonly mode: number;
  readonly nlink: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: bigint;
  /** Of 512 bytes. */
  readonly blocks: bigint;
  readonly blockSize: number;
  readonly atime: bigint;
  readonly mtime: bigint;
  readonly ctime: bigint;
  readonly btime: bigint;
  readonly deviceMajor: number;
  readonly deviceMinor: number;
}

const buffer = Buffer.alloc(256);

function timeAt(at: number): bigint {
  return buffer.readBigInt64LE(at) * 1_000_000_000n + BigInt(buffer.readUInt32LE(at + 8));
}

function decode(): Stat {
  const mode = buffer.readUInt16LE(28);
  return {
    mask: buffer.readUInt32LE(0),
    blockSize: buffer.readUInt32LE(4),
    nlink: buffer.readUInt32LE(16),
    uid: buffer.readUInt32LE(20),
    gid: buffer.readUInt32LE(24),
    type: mode & 0o170000,
    mode: mode & 0o7777,
    ino: buffer.readBigUInt64LE(32),
    size: buffer.readBigUInt64LE(40),
    blocks: buffer.readBigUInt64LE(48),
    atime: timeAt(64),
    btime: timeAt(80),
    ctime: timeAt(96),
    mtime: timeAt(112),
    deviceMajor: buffer.readUInt32LE(128),
    deviceMinor: buffer.readUInt32LE(132),
  };
}

/** The result of stat(2), which follows symbolic links. */
export function statResult(path: Path): Result {
  return statx(AT_FDCWD, path, 0, buffer);
}

/** The result of lstat(2). */
export function lstatResult(path: Path): Result {
  return statx(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, buffer);
}

export function stat(path: string): Stat {
  must(`stat ${path}`, statResult(path));
  return decode();
}

export function lstat(path: string): Stat {
  must(`lstat ${path}`, lstatResult(path));
  return decode();
}

export function fstat(fd: number): Stat {
  must('fstat', statx(fd, '', AT_EMPTY_PATH, buffer));
  return decode();
}

export function exists(path: string): boolean {
  return lstatResult(path) >= 0;
}

/** Everything but atime and btime as a line of text, or the error: equal lines mean that nothing changed. */
export function trace(path: string): string {
  const result = lstatResult(path);
  if (result < 0) return outcome(result);
  const { ino, type, mode, nlink, uid, gid, size, mtime, ctime } = decode();
  return [ino, (type | mode).toString(8), nlink, uid, gid, size, `m${mtime}`, `c${ctime}`].join(' ');
}

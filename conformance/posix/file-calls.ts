// file-calls.ts — system calls on descriptors, each named and ordered as in section 2 of the manual.
// Results are libc.ts's: what the call returns, or the negated errno.

import koffi from 'koffi';
import { cString, must, native, type Path, type Result } from './libc.js';
import { type Time, timePair } from './path-calls.js';

const cClose = native('int close(int)');
const cRead = native('int64_t read(int, void *, size_t)');
const cWrite = native('int64_t write(int, const void *, size_t)');
const cPread = native('int64_t pread(int, void *, size_t, int64_t)');
const cPwrite = native('int64_t pwrite(int, const void *, size_t, int64_t)');
const cLseek = native('int64_t lseek(int, int64_t, int)');
const cFtruncate = native('int ftruncate(int, int64_t)');
const cFchmod = native('int fchmod(int, uint32_t)');
const cFchown = native('int fchown(int, uint32_t, uint32_t)');
const cFutimens = native('int futimens(int, void *)');
const cFsync = native('int fsync(int)');
const cFdatasync = native('int fdatasync(int)');
const cFallocate = native('int fallocate(int, int, int64_t, int64_t)');
const cCopyFileRange = native('int64_t copy_file_range(int, void *, int, void *, size_t, uint32_t)');
const cFsetxattr = native('int fsetxattr(int, const void *, const void *, size_t, int)');
const cFgetxattr = native('int64_t fgetxattr(int, const void *, void *, size_t)');
const cFlock = native('int flock(int, int)');
const cFcntl = native('int fcntl(int, int, long)');
const cFcntlLock = native('int fcntl(int, int, void *)');
const cGetdents = native('long syscall(long, long, void *, size_t)');
const cDup = native('int dup(int)');
const cMsync = native('int msync(void *, size_t, int)');
const cMunmap = native('int munmap(void *, size_t)');
const cUmask = native('int umask(uint32_t)');

export function close(fd: number): Result {
  return cClose(fd);
}

export function dup(fd: number): Result {
  return cDup(fd);
}

export function read(fd: number, into: Buffer): Result {
  return cRead(fd, into, into.length);
}

export function write(fd: number, data: Buffer | string): Result {
  const bytes = typeof data === 'string' ? Buffer.from(data, 'latin1') : data;
  return cWrite(fd, bytes, bytes.length);
}

export function pread(fd: number, into: Buffer, offset: number | bigint): Result {
  return cPread(fd, into, into.length, offset);
}

export function pwrite(fd: number, data: Buffer | string, offset: number | bigint): Result {
  const bytes = typeof data === 'string' ? Buffer.from(data, 'latin1') : data;
  return cPwrite(fd, bytes, bytes.length, offset);
}

export const SEEK_SET = 0;
export const SEEK_CUR = 1;
export const SEEK_END = 2;
export const SEEK_DATA = 3;
export const SEEK_HOLE = 4;

export function lseek(fd: number, offset: number | bigint, whence: number): Result {
  return cLseek(fd, offset, whence);
}

export function ftruncate(fd: number, length: number | bigint): Result {
  return cFtruncate(fd, length);
}

export function fchmod(fd: number, mode: number): Result {
  return cFchmod(fd, mode);
}

/** -1 leaves an id as it is. */
export function fchown(fd: number, uid: number, gid: number): Result {
  return cFchown(fd, uid >>> 0, gid >>> 0);
}

export function futimens(fd: number, times: readonly [Time, Time] | null): Result {
  return cFutimens(fd, times && timePair(...times));
}

export function fsync(fd: number): Result {
  return cFsync(fd);
}

export function fdatasync(fd: number): Result {
  return cFdatasync(fd);
}

export const FALLOC = { keepSize: 1, punchHole: 2, collapseRange: 8, zeroRange: 0x10, insertRange: 0x20 } as const;

const cFadvise = native('int posix_fadvise(int, int64_t, int64_t, int)');
const POSIX_FADV_DONTNEED = 4;

/** Takes a file's clean pages out of the page cache. Answers a positive errno. */
export function dropCache(fd: number): void {
  must('fsync', fsync(fd));
  must('posix_fadvise', -cFadvise(fd, 0, 0, POSIX_FADV_DONTNEED));
}

export function fallocate(fd: number, mode: number, offset: number | bigint, length: number | bigint): Result {
  return cFallocate(fd, mode, offset, length);
}

/** Offsets of null: the descriptors' own. */
export function copyFileRange(
  source: number,
  sourceOffset: number | null,
  target: number,
  targetOffset: number | null,
  length: number,
  flags = 0,
): Result {
  return cCopyFileRange(source, offsetCell(sourceOffset), target, offsetCell(targetOffset), length, flags);
}

function offsetCell(offset: number | null): Buffer | null {
  if (offset === null) return null;
  const cell = Buffer.alloc(8);
  cell.writeBigInt64LE(BigInt(offset));
  return cell;
}

export function fsetxattr(fd: number, name: Path, value: Buffer, flags = 0): Result {
  return cFsetxattr(fd, cString(name), value, value.length, flags);
}

export function fgetxattr(fd: number, name: Path, into: Buffer | null = null): Result {
  return cFgetxattr(fd, cString(name), into, into?.length ?? 0);
}

export const LOCK = { shared: 1, exclusive: 2, nonBlocking: 4, unlock: 8 } as const;

export function flock(fd: number, operation: number): Result {
  return cFlock(fd, operation);
}

export const F = {
  getfl: 3,
  setfl: 4,
  getlk: 5,
  setlk: 6,
  setlkw: 7,
  setsig: 10,
  ofdGetlk: 36,
  ofdSetlk: 37,
  setlease: 1024,
  getlease: 1025,
} as const;
export const F_RDLCK = 0;
export const F_WRLCK = 1;
export const F_UNLCK = 2;

export function fcntl(fd: number, command: number, argument = 0): Result {
  return cFcntl(fd, command, argument);
}

/** struct flock of 64-bit Linux. After F_GETLK it holds what is in the way. */
export function lockOf(type: number, start: number, length: number, whence = SEEK_SET): Buffer {
  const lock = Buffer.alloc(32);
  lock.writeInt16LE(type, 0);
  lock.writeInt16LE(whence, 2);
  lock.writeBigInt64LE(BigInt(start), 8);
  lock.writeBigInt64LE(BigInt(length), 16);
  return lock;
}

export function fcntlLock(fd: number, command: number, lock: Buffer): Result {
  return cFcntlLock(fd, command, lock);
}

const SYS_GETDENTS64 = process.arch === 'arm64' ? 61 : 217;

export function getdents(fd: number, into: Buffer): Result {
  return cGetdents(SYS_GETDENTS64, fd, into, into.length);
}

export interface Entry {
  readonly name: string;
  readonly ino: bigint;
  /** DT_*. */
  readonly type: number;
  /** Where lseek(2) goes to read on after this entry. */
  readonly next: bigint;
}

/** The entries that getdents(2) put into a buffer: struct linux_dirent64. */
export function entriesIn(buffer: Buffer, length: number): Entry[] {
  const entries: Entry[] = [];
  for (let at = 0; at < length; at += buffer.readUInt16LE(at + 16)) {
    entries.push({
      ino: buffer.readBigUInt64LE(at),
      next: buffer.readBigInt64LE(at + 8),
      type: buffer[at + 18]!,
      name: buffer.toString('latin1', at + 19, buffer.indexOf(0, at + 19)),
    });
  }
  return entries;
}

export const PROT_READ = 1;
export const PROT_WRITE = 2;
export const MAP_SHARED = 1;
export const MAP_PRIVATE = 2;
export const MS_ASYNC = 1;
export const MS_SYNC = 4;

const cMmap = koffi.load(null).func('void *mmap(void *, size_t, int, int, int, int64_t)');

/** Part of a file in memory. Do not touch `bytes` after `unmap`, nor beyond the file's end. */
export interface Mapping {
  readonly bytes: Uint8Array;
  sync(flags: number): Result;
  unmap(): Result;
}

/** The mapping, or the negated errno. */
export function mmap(fd: number, length: number, protection: number, flags: number, offset = 0): Mapping | number {
  const address: unknown = cMmap(null, length, protection, flags, fd, offset);
  if (koffi.address(address) === 2n ** 64n - 1n) return -koffi.errno();
  return {
    bytes: new Uint8Array(koffi.view(address, length)),
    sync: (how) => cMsync(address, length, how),
    unmap: () => cMunmap(address, length),
  };
}

/** Memory that starts at a page, as O_DIRECT wants it. */
export function alignedBuffer(bytes: number): Buffer {
  const ANONYMOUS = 0x20;
  const mapping = mmap(-1, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | ANONYMOUS);
  if (typeof mapping === 'number') throw new Error(`no memory for ${bytes} aligned bytes`);
  return Buffer.from(mapping.bytes.buffer);
}

/** Sets the process's umask for `work`, which runs in this thread. */
export function withUmask<T>(mask: number, work: () => T): T {
  const before = cUmask(mask);
  try {
    return work();
  } finally {
    cUmask(before);
  }
}

// posix-calls.test-support.ts — system calls that Node has no function for, for the tests to use a mount with. Errors carry `code`.

import koffi from 'koffi';

import { SystemCallError } from './system-calls.js';

const libc = koffi.load(null);
const cRenameat2 = libc.func('int renameat2(int, const char *, int, const char *, unsigned int)');
const cFallocate = libc.func('int fallocate(int, int, int64_t, int64_t)');
const cLseek = libc.func('int64_t lseek(int, int64_t, int)');
const cUtimensat = libc.func('int utimensat(int, const char *, void *, int)');
const cStatx = libc.func('int statx(int, const char *, int, unsigned int, void *)');
const cCopyFileRange = libc.func('int64_t copy_file_range(int, void *, int, void *, size_t, unsigned int)');
const cLinkat = libc.func('int linkat(int, const char *, int, const char *, int)');
const cMknod = libc.func('int mknod(const char *, unsigned int, uint64_t)');
const cPwrite = libc.func('int64_t pwrite(int, const void *, size_t, int64_t)');
const cPread = libc.func('int64_t pread(int, void *, size_t, int64_t)');
const cSetxattr = libc.func('int setxattr(const char *, const char *, const void *, size_t, int)');
const cGetxattr = libc.func('int64_t getxattr(const char *, const char *, void *, size_t)');
const cListxattr = libc.func('int64_t listxattr(const char *, void *, size_t)');
const cRemovexattr = libc.func('int removexattr(const char *, const char *)');
const cNameToHandle = libc.func('int name_to_handle_at(int, const char *, void *, void *, int)');
const cMmap = libc.func('void *mmap(void *, size_t, int, int, int, int64_t)');
const cMunmap = libc.func('int munmap(void *, size_t)');
const cMsync = libc.func('int msync(void *, size_t, int)');
const cOpenByHandle = libc.func('int open_by_handle_at(int, void *, int)');

const AT_FDCWD = -100;
const AT_SYMLINK_NOFOLLOW = 0x100;
const AT_SYMLINK_FOLLOW = 0x400;
/** Keep the time as it is, for {@link utimensat}. */
export const UTIME_OMIT = { s: 0, ns: 0x3fff_fffe };
export const UTIME_NOW = { s: 0, ns: 0x3fff_ffff };
export const SEEK_DATA = 3;
export const SEEK_HOLE = 4;
export const O_TMPFILE = 0o20200000;

function checked(call: string, result: number | bigint): number {
  if (result < 0) throw new SystemCallError(call, koffi.errno());
  return Number(result);
}

export function renameat2(from: string, to: string, flags: number): void {
  checked('renameat2', cRenameat2(AT_FDCWD, from, AT_FDCWD, to, flags) as number);
}

export function fallocate(fd: number, mode: number, offset: number, length: number): void {
  checked('fallocate', cFallocate(fd, mode, offset, length) as number);
}

export function lseek(fd: number, offset: number | bigint, whence: number): number {
  return checked('lseek', cLseek(fd, offset, whence) as number);
}

export function utimensat(path: string, atime: { s: number; ns: number }, mtime: { s: number; ns: number }): void {
  const times = Buffer.alloc(32);
  for (const [i, time] of [atime, mtime].entries()) {
    times.writeBigInt64LE(BigInt(time.s), i * 16);
    times.writeBigInt64LE(BigInt(time.ns), i * 16 + 8);
  }
  checked('utimensat', cUtimensat(AT_FDCWD, path, times, AT_SYMLINK_NOFOLLOW) as number);
}

function statxTime(buffer: Buffer, at: number): { s: number; ns: number } {
  return { s: Number(buffer.readBigInt64LE(at)), ns: buffer.readUInt32LE(at + 8) };
}

export interface Statx {
  mask: number;
  ino: bigint;
  size: bigint;
  mode: number;
  rdevMajor: number;
  rdevMinor: number;
  atime: { s: number; ns: number };
  btime: { s: number; ns: number };
  ctime: { s: number; ns: number };
  mtime: { s: number; ns: number };
}

/** Asks for everything, the time of birth too. */
export function statx(path: string): Statx {
  const buffer = Buffer.alloc(256);
  checked('statx', cStatx(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, 0xfff, buffer) as number);
  return {
    mask: buffer.readUInt32LE(0),
    mode: buffer.readUInt16LE(28),
    ino: buffer.readBigUInt64LE(32),
    size: buffer.readBigUInt64LE(40),
    atime: statxTime(buffer, 64),
    btime: statxTime(buffer, 80),
    ctime: statxTime(buffer, 96),
    mtime: statxTime(buffer, 112),
    rdevMajor: buffer.readUInt32LE(128),
    rdevMinor: buffer.readUInt32LE(132),
  };
}

export function copyFileRange(
  source: number,
  sourceOffset: bigint,
  target: number,
  targetOffset: bigint,
  length: number,
): number {
  const from = Buffer.alloc(8);
  const to = Buffer.alloc(8);
  from.writeBigInt64LE(sourceOffset);
  to.writeBigInt64LE(targetOffset);
  return checked('copy_file_range', cCopyFileRange(source, from, target, to, length, 0) as number);
}

/** Gives a file opened with O_TMPFILE a name. */
export function linkDescriptor(fd: number, path: string): void {
  checked('linkat', cLinkat(AT_FDCWD, `/proc/self/fd/${fd}`, AT_FDCWD, path, AT_SYMLINK_FOLLOW) as number);
}

export function mknod(path: string, mode: number, rdev: number): void {
  checked('mknod', cMknod(path, mode, rdev) as number);
}

export function pwrite(fd: number, data: Buffer, offset: bigint): number {
  return checked('pwrite', cPwrite(fd, data, data.length, offset) as number);
}

export function pread(fd: number, into: Buffer, offset: bigint): number {
  return checked('pread', cPread(fd, into, into.length, offset) as number);
}

export function setxattr(path: string, name: string, value: Buffer, flags = 0): void {
  checked('setxattr', cSetxattr(path, name, value, value.length, flags) as number);
}

/** Without `size` as much as there is. */
export function getxattr(path: string, name: string, size?: number): Buffer {
  const room = size ?? checked('getxattr', cGetxattr(path, name, null, 0) as number);
  const value = Buffer.alloc(Math.max(room, 1));
  return value.subarray(0, checked('getxattr', cGetxattr(path, name, value, room) as number));
}

export function listxattr(path: string): string[] {
  const list = Buffer.alloc(65536);
  const length = checked('listxattr', cListxattr(path, list, list.length) as number);
  return list.toString('latin1', 0, length).split('\0').slice(0, -1);
}

export function removexattr(path: string, name: string): void {
  checked('removexattr', cRemovexattr(path, name) as number);
}

/** A file handle as NFS would keep it: struct file_handle. */
export function nameToHandle(path: string): Buffer {
  const handle = Buffer.alloc(8 + 128);
  handle.writeUInt32LE(128, 0);
  checked('name_to_handle_at', cNameToHandle(AT_FDCWD, path, handle, Buffer.alloc(4), 0) as number);
  return handle;
}

export function openByHandle(mountFd: number, handle: Buffer, flags: number): number {
  return checked('open_by_handle_at', cOpenByHandle(mountFd, handle, flags) as number);
}

const PROT_READ = 1;
const PROT_WRITE = 2;
const MAP_SHARED = 1;
const MS_SYNC = 4;

/** A shared mapping of the first `length` bytes of a file, for reading and writing. Do not touch `bytes` after `unmap`. */
export interface Mapping {
  readonly bytes: Uint8Array;
  sync(): void;
  unmap(): void;
}

export function mapShared(fd: number, length: number): Mapping {
  const address: unknown = cMmap(null, length, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (koffi.address(address) === 2n ** 64n - 1n) throw new SystemCallError('mmap', koffi.errno());
  return {
    bytes: new Uint8Array(koffi.view(address, length)),
    sync: () => void checked('msync', cMsync(address, length, MS_SYNC) as number),
    unmap: () => void checked('munmap', cMunmap(address, length) as number),
  };
}

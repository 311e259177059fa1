// path-calls.ts — system calls that take a path, each named and ordered as in section 2 of the manual.
// Results are libc.ts's: what the call returns, or the negated errno.

import { cString, native, type Path, type Result } from './libc.js';

export const AT_FDCWD = -100;
export const AT_SYMLINK_NOFOLLOW = 0x100;
export const AT_EACCESS = 0x200;
export const AT_REMOVEDIR = 0x200;
export const AT_SYMLINK_FOLLOW = 0x400;
export const AT_EMPTY_PATH = 0x1000;

export const O_RDONLY = 0;
export const O_WRONLY = 1;
export const O_RDWR = 2;
export const O_CREAT = 0o100;
export const O_EXCL = 0o200;
export const O_NOCTTY = 0o400;
export const O_TRUNC = 0o1000;
export const O_APPEND = 0o2000;
export const O_NONBLOCK = 0o4000;
export const O_DSYNC = 0o10000;
export const O_NOATIME = 0o1000000;
export const O_CLOEXEC = 0o2000000;
export const O_SYNC = 0o4010000;
export const O_PATH = 0o10000000;
/** These differ between architectures (asm-generic/fcntl.h, arch/arm64/include/uapi/asm/fcntl.h). */
const isArm = process.arch === 'arm64';
export const O_DIRECT = isArm ? 0o200000 : 0o40000;
export const O_DIRECTORY = isArm ? 0o40000 : 0o200000;
export const O_NOFOLLOW = isArm ? 0o100000 : 0o400000;
export const O_TMPFILE = 0o20000000 | O_DIRECTORY;

const cOpenat = native('int openat(int, const void *, int, uint32_t)');
const cMkdirat = native('int mkdirat(int, const void *, uint32_t)');
const cMknodat = native('int mknodat(int, const void *, uint32_t, uint64_t)');
const cSymlink = native('int symlink(const void *, const void *)');
const cReadlink = native('int64_t readlink(const void *, void *, size_t)');
const cLinkat = native('int linkat(int, const void *, int, const void *, int)');
const cUnlinkat = native('int unlinkat(int, const void *, int)');
const cRenameat2 = native('int renameat2(int, const void *, int, const void *, uint32_t)');
const cChmod = native('int chmod(const void *, uint32_t)');
const cFchownat = native('int fchownat(int, const void *, uint32_t, uint32_t, int)');
const cTruncate = native('int truncate(const void *, int64_t)');
const cUtimensat = native('int utimensat(int, const void *, void *, int)');
const cFaccessat = native('int faccessat(int, const void *, int, int)');
const cSetxattr = native('int setxattr(const void *, const void *, const void *, size_t, int)');
const cLsetxattr = native('int lsetxattr(const void *, const void *, const void *, size_t, int)');
const cGetxattr = native('int64_t getxattr(const void *, const void *, void *, size_t)');
const cLgetxattr = native('int64_t lgetxattr(const void *, const void *, void *, size_t)');
const cListxattr = native('int64_t listxattr(const void *, void *, size_t)');
const cLlistxattr = native('int64_t llistxattr(const void *, void *, size_t)');
const cRemovexattr = native('int removexattr(const void *, const void *)');
const cLremovexattr = native('int lremovexattr(const void *, const void *)');
const cStatfs = native('int statfs(const void *, void *)');
const cNameToHandle = native('int name_to_handle_at(int, const void *, void *, void *, int)');
const cOpenByHandle = native('int open_by_handle_at(int, void *, int)');
const cChdir = native('int chdir(const void *)');
const cFchdir = native('int fchdir(int)');
const cRmdir = native('int rmdir(const void *)');
const cUnlink = native('int unlink(const void *)');
const cRename = native('int rename(const void *, const void *)');
const cLink = native('int link(const void *, const void *)');
const cOpenat2 = native('long syscall(long, long, const void *, const void *, size_t)');

export function open(path: Path, flags: number, mode = 0): Result {
  return cOpenat(AT_FDCWD, cString(path), flags | O_CLOEXEC, mode);
}

export function openat(directory: number, path: Path, flags: number, mode = 0): Result {
  return cOpenat(directory, cString(path), flags | O_CLOEXEC, mode);
}

export const RESOLVE = { noXdev: 1, noMagicLinks: 2, noSymlinks: 4, beneath: 8, inRoot: 0x10, cached: 0x20 } as const;

/** The same number on all architectures. */
const SYS_OPENAT2 = 437;

/** `size`: of struct open_how, which may be longer than this kernel's when the rest is 0. */
export function openat2(
  directory: number,
  path: Path,
  how: { flags: number; mode?: number; resolve?: number },
  size = 24,
  beyond = 0,
): Result {
  const struct = Buffer.alloc(Math.max(size, 24), beyond);
  struct.writeBigUInt64LE(BigInt(how.flags), 0);
  struct.writeBigUInt64LE(BigInt(how.mode ?? 0), 8);
  struct.writeBigUInt64LE(BigInt(how.resolve ?? 0), 16);
  return cOpenat2(SYS_OPENAT2, directory, cString(path), struct, size);
}

export function mkdir(path: Path, mode: number): Result {
  return cMkdirat(AT_FDCWD, cString(path), mode);
}

export function mkdirat(directory: number, path: Path, mode: number): Result {
  return cMkdirat(directory, cString(path), mode);
}

/** `mode` with the S_IFMT bits; `device` as {@link makeDevice} makes it. */
export function mknod(path: Path, mode: number, device = 0): Result {
  return cMknodat(AT_FDCWD, cString(path), mode, device);
}

/** makedev(3) for numbers of up to 12 and 20 bits. */
export function makeDevice(major: number, minor: number): number {
  return ((major << 8) | (minor & 0xff) | ((minor & 0xfff00) << 12)) >>> 0;
}

export function symlink(target: Path, path: Path): Result {
  return cSymlink(cString(target), cString(path));
}

export function readlink(path: Path, into: Buffer | null = Buffer.alloc(4096), size = into?.length ?? 0): Result {
  return cReadlink(cString(path), into, size);
}

export function link(from: Path, to: Path): Result {
  return cLink(cString(from), cString(to));
}

export function linkat(fromDirectory: number, from: Path, toDirectory: number, to: Path, flags: number): Result {
  return cLinkat(fromDirectory, cString(from), toDirectory, cString(to), flags);
}

export function unlink(path: Path): Result {
  return cUnlink(cString(path));
}

export function unlinkat(directory: number, path: Path, flags: number): Result {
  return cUnlinkat(directory, cString(path), flags);
}

export function rmdir(path: Path): Result {
  return cRmdir(cString(path));
}

export function rename(from: Path, to: Path): Result {
  return cRename(cString(from), cString(to));
}

export const RENAME_NOREPLACE = 1;
export const RENAME_EXCHANGE = 2;
export const RENAME_WHITEOUT = 4;

export function renameat2(from: Path, to: Path, flags: number): Result {
  return cRenameat2(AT_FDCWD, cString(from), AT_FDCWD, cString(to), flags);
}

export function chmod(path: Path, mode: number): Result {
  return cChmod(cString(path), mode);
}

/** -1 leaves an id as it is. */
export function chown(path: Path, uid: number, gid: number): Result {
  return cFchownat(AT_FDCWD, cString(path), uid >>> 0, gid >>> 0, 0);
}

export function lchown(path: Path, uid: number, gid: number): Result {
  return cFchownat(AT_FDCWD, cString(path), uid >>> 0, gid >>> 0, AT_SYMLINK_NOFOLLOW);
}

export function truncate(path: Path, length: number | bigint): Result {
  return cTruncate(cString(path), length);
}

export interface Time {
  readonly s: number | bigint;
  readonly ns: number;
}

export const UTIME_NOW: Time = { s: 0, ns: 0x3fff_ffff };
export const UTIME_OMIT: Time = { s: 0, ns: 0x3fff_fffe };

/** struct timespec[2]. */
export function timePair(atime: Time, mtime: Time): Buffer {
  const pair = Buffer.alloc(32);
  for (const [i, time] of [atime, mtime].entries()) {
    pair.writeBigInt64LE(BigInt(time.s), i * 16);
    pair.writeBigInt64LE(BigInt(time.ns), i * 16 + 8);
  }
  return pair;
}

/** Without times: both to now. */
export function utimensat(path: Path, times: readonly [Time, Time] | null, flags = 0): Result {
  return cUtimensat(AT_FDCWD, cString(path), times && timePair(...times), flags);
}

export function access(path: Path, mode: number): Result {
  return cFaccessat(AT_FDCWD, cString(path), mode, 0);
}

export function faccessat(path: Path, mode: number, flags: number): Result {
  return cFaccessat(AT_FDCWD, cString(path), mode, flags);
}

export const XATTR_CREATE = 1;
export const XATTR_REPLACE = 2;

export function setxattr(path: Path, name: Path, value: Buffer, flags = 0): Result {
  return cSetxattr(cString(path), cString(name), value, value.length, flags);
}

export function lsetxattr(path: Path, name: Path, value: Buffer, flags = 0): Result {
  return cLsetxattr(cString(path), cString(name), value, value.length, flags);
}

export function getxattr(path: Path, name: Path, into: Buffer | null = null): Result {
  return cGetxattr(cString(path), cString(name), into, into?.length ?? 0);
}

export function lgetxattr(path: Path, name: Path, into: Buffer | null = null): Result {
  return cLgetxattr(cString(path), cString(name), into, into?.length ?? 0);
}

export function listxattr(path: Path, into: Buffer | null = null): Result {
  return cListxattr(cString(path), into, into?.length ?? 0);
}

export function llistxattr(path: Path, into: Buffer | null = null): Result {
  return cLlistxattr(cString(path), into, into?.length ?? 0);
}

export function removexattr(path: Path, name: Path): Result {
  return cRemovexattr(cString(path), cString(name));
}

export function lremovexattr(path: Path, name: Path): Result {
  return cLremovexattr(cString(path), cString(name));
}

/** struct statfs of 64-bit Linux: 120 bytes. */
export function statfs(path: Path, into: Buffer | null = Buffer.alloc(120)): Result {
  return cStatfs(cString(path), into);
}

/** Room for a handle: struct file_handle with MAX_HANDLE_SZ bytes. */
export function newHandle(bytes = 128): Buffer {
  const handle = Buffer.alloc(8 + 128);
  handle.writeUInt32LE(bytes, 0);
  return handle;
}

export function nameToHandle(path: Path, handle: Buffer, flags = 0, directory = AT_FDCWD): Result {
  return cNameToHandle(directory, cString(path), handle, Buffer.alloc(4), flags);
}

export function openByHandle(mount: number, handle: Buffer, flags: number): Result {
  return cOpenByHandle(mount, handle, flags);
}

export function chdir(path: Path): Result {
  return cChdir(cString(path));
}

export function fchdir(fd: number): Result {
  return cFchdir(fd);
}

const cStatx = native('int statx(int, const void *, int, uint32_t, void *)');
const STATX_BASIC_AND_BTIME = 0xfff;

/** statx(2) as it is; stat.ts reads the result. */
export function statx(
  directory: number,
  path: Path,
  flags: number,
  into: Buffer | null,
  mask = STATX_BASIC_AND_BTIME,
): Result {
  return cStatx(directory, cString(path), flags, mask, into);
}

const cMkfifo = native('int mkfifo(const void *, uint32_t)');
const cCreat = native('int creat(const void *, uint32_t)');

export function mkfifo(path: Path, mode: number): Result {
  return cMkfifo(cString(path), mode);
}

export function creat(path: Path, mode: number): Result {
  return cCreat(cString(path), mode);
}

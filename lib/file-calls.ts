// file-calls.ts — the system calls on local files that Node does not offer: fallocate(2), lseek(2) for data and holes,
// sync_file_range(2) to set the disk to work early, posix_fadvise(2) for what need not stay in memory, futimens(3), for Node's futimes
// knows no nanoseconds, and ioctl_iflags(2). For all layers that touch the disk; none of the pure files.

import { constants } from 'node:os';
import koffi from 'koffi';
import { codeOf, posixError } from './errno.js';

const libc = koffi.load('libc.so.6');
const fallocateCall = libc.func('int fallocate(int fd, int mode, int64_t offset, int64_t length)') as (
  fd: number,
  mode: number,
  offset: number,
  length: number,
) => number;
const lseekCall = libc.func('int64_t lseek(int fd, int64_t offset, int whence)') as (
  fd: number,
  offset: number,
  whence: number,
) => number;

const syncFileRangeCall = libc.func(
  'int sync_file_range(int fd, int64_t offset, int64_t length, unsigned int flags)',
) as (fd: number, offset: number, length: number, flags: number) => number;

const fadviseCall = libc.func('int posix_fadvise(int fd, int64_t offset, int64_t length, int advice)') as (
  fd: number,
  offset: number,
  length: number,
  advice: number,
) => number;

const futimensCall = libc.func('int futimens(int fd, const void *times)') as (fd: number, times: Buffer) => number;

const ioctlCall = libc.func('int ioctl(int fd, unsigned long request, ...)') as (
  fd: number,
  request: number,
  type: 'void *',
  argument: Buffer,
) => number;

const SYNC_FILE_RANGE_WRITE = 2;
const POSIX_FADV_DONTNEED = 4;
const SEEK_DATA = 3;
const SEEK_HOLE = 4;
/** linux/fs.h. The kernel takes an int for these, whatever their names say of a long. */
const FS_IOC_GETFLAGS = 0x80086601;
const FS_IOC_SETFLAGS = 0x40086602;
/** struct timespec times[2]: access and modification, each i64 seconds and i64 nanoseconds. */
const TIMESPEC_BYTES = 16;
const UTIME_OMIT = (1n << 30n) - 2n;
const ACCESSED = 0;
const MODIFIED = TIMESPEC_BYTES;
const NS_PER_S = 1_000_000_000n;

function fail(): never {
  throw posixError(codeOf(koffi.errno()));
}

/** fallocate(2). A PosixError of its errno. */
export function fallocate(fd: number, mode: number, offset: number, length: number): void {
  while (fallocateCall(fd, mode, offset, length) !== 0) {
    if (koffi.errno() !== constants.errno.EINTR) fail();
  }
}

/** Has the kernel begin to write a range to disk, without waiting: the fdatasync to come has less to do then. Promises nothing. */
export function startWriteback(fd: number, offset: number, length: number): void {
  syncFileRangeCall(fd, offset, length, SYNC_FILE_RANGE_WRITE);
}

/** Gives back the page cache of a range, as far as it is on disk. */
export function dropCached(fd: number, offset: number, length: number): void {
  fadviseCall(fd, offset, length, POSIX_FADV_DONTNEED);
}

/** Sets the time of modification of a file, nanoseconds since 1970. A PosixError of its errno. */
export function setModified(fd: number, ns: bigint): void {
  setTime(fd, MODIFIED, ns);
}

/** Sets the time of access of a file, nanoseconds since 1970. A PosixError of its errno. */
export function setAccessed(fd: number, ns: bigint): void {
  setTime(fd, ACCESSED, ns);
}

/** Sets one of a file's two times and leaves the other. */
function setTime(fd: number, which: typeof ACCESSED | typeof MODIFIED, ns: bigint): void {
  const times = Buffer.alloc(2 * TIMESPEC_BYTES);
  for (const one of [ACCESSED, MODIFIED]) times.writeBigInt64LE(UTIME_OMIT, one + 8);
  const rest = ((ns % NS_PER_S) + NS_PER_S) % NS_PER_S;
  times.writeBigInt64LE((ns - rest) / NS_PER_S, which);
  times.writeBigInt64LE(rest, which + 8);
  if (futimensCall(fd, times) !== 0) fail();
}

/** Sets flags of an inode (FS_…_FL, see ioctl_iflags(2)) and leaves the others. A PosixError of its errno. */
export function addInodeFlags(fd: number, flags: number): void {
  const value = Buffer.alloc(8);
  if (ioctlCall(fd, FS_IOC_GETFLAGS, 'void *', value) !== 0) fail();
  value.writeUInt32LE((value.readUInt32LE() | flags) >>> 0);
  if (ioctlCall(fd, FS_IOC_SETFLAGS, 'void *', value) !== 0) fail();
}

/** The first byte at or after `offset` in a part of the file that has data; -1 when there is none. */
export function seekData(fd: number, offset: number): number {
  return seek(fd, offset, SEEK_DATA);
}

/** The first byte at or after `offset` in a hole, the end of the file counting as one; -1 at or past the end. */
export function seekHole(fd: number, offset: number): number {
  return seek(fd, offset, SEEK_HOLE);
}

function seek(fd: number, offset: number, whence: number): number {
  const found = Number(lseekCall(fd, offset, whence));
  if (found < 0 && koffi.errno() !== constants.errno.ENXIO) fail();
  return found;
}

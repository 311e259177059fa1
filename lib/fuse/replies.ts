// replies.ts — encodes what the driver answers on /dev/fuse, in place in one reply buffer.
// Invariant: each function writes exactly the bytes of its struct at `at` and returns the offset behind them; the caller made sure of
// the room. Pure. Layouts: include/uapi/linux/fuse.h, protocol 7.31 to 7.45. The names of the structs are in the docstrings.

import type { Attributes, Opened, StatFs, Timestamp } from '../volume/file-system.js';

export const REPLY_HEADER_LENGTH = 16;

/** How long the kernel may believe names and attributes, seconds: long, because changes from other sites invalidate them. */
export const CACHE_SECONDS = 24 * 3600;

const ENTRY_LENGTH = 40;
const ATTR_LENGTH = 88;
/** struct fuse_entry_out with its fuse_attr. */
export const ENTRY_OUT_LENGTH = ENTRY_LENGTH + ATTR_LENGTH;
/** What st_blksize says: the size of efficient I/O. */
const BLOCK_SIZE = 4096;

/** A safe integer as u64. */
export function put64(buffer: Buffer, value: number, at: number): number {
  buffer.writeUInt32LE(value % 2 ** 32, at);
  return buffer.writeUInt32LE(Math.floor(value / 2 ** 32), at + 4);
}

/** What {@link put64} wrote. */
function get64(buffer: Buffer, at: number): number {
  return buffer.readUInt32LE(at + 4) * 2 ** 32 + buffer.readUInt32LE(at);
}

/** A safe integer, maybe negative, as i64. */
export function putSigned64(buffer: Buffer, value: number, at: number): number {
  const high = Math.floor(value / 2 ** 32);
  buffer.writeUInt32LE(value - high * 2 ** 32, at);
  return buffer.writeInt32LE(high, at + 4);
}

/** struct fuse_out_header. `errno` is positive, 0 for success; for a notice pass its code negated and unique 0. */
export function putHeader(buffer: Buffer, length: number, errno: number, unique: number): void {
  buffer.writeUInt32LE(length, 0);
  buffer.writeInt32LE(-errno, 4);
  put64(buffer, unique, 8);
}

/** struct fuse_attr. */
function putAttributes(buffer: Buffer, attributes: Attributes, at: number): number {
  put64(buffer, attributes.ino, at);
  put64(buffer, attributes.size, at + 8);
  put64(buffer, attributes.blocks, at + 16);
  putSigned64(buffer, attributes.atime.s, at + 24);
  putSigned64(buffer, attributes.mtime.s, at + 32);
  putSigned64(buffer, attributes.ctime.s, at + 40);
  buffer.writeUInt32LE(attributes.atime.ns, at + 48);
  buffer.writeUInt32LE(attributes.mtime.ns, at + 52);
  buffer.writeUInt32LE(attributes.ctime.ns, at + 56);
  buffer.writeUInt32LE(attributes.mode, at + 60);
  buffer.writeUInt32LE(attributes.nlink, at + 64);
  buffer.writeUInt32LE(attributes.uid, at + 68);
  buffer.writeUInt32LE(attributes.gid, at + 72);
  buffer.writeUInt32LE(attributes.rdev, at + 76);
  buffer.writeUInt32LE(BLOCK_SIZE, at + 80);
  return buffer.writeUInt32LE(0, at + 84);
}

/** struct fuse_entry_out: inode number as node id, generation 0 (inode numbers are never reused). `seconds`: see {@link putAttr}. */
export function putEntry(buffer: Buffer, attributes: Attributes, seconds: number, at: number): number {
  put64(buffer, attributes.ino, at);
  put64(buffer, 0, at + 8);
  put64(buffer, attributes.nameSeconds ?? CACHE_SECONDS, at + 16);
  put64(buffer, seconds, at + 24);
  put64(buffer, 0, at + 32);
  return putAttributes(buffer, attributes, at + ENTRY_LENGTH);
}

/** The node id in the struct fuse_entry_out at `at`. */
export function inodeEntered(buffer: Buffer, at: number): number {
  return get64(buffer, at);
}

/** struct fuse_entry_out with node id 0: there is no such name, and the kernel may remember that. */
export function putNegativeEntry(buffer: Buffer, at: number): number {
  buffer.fill(0, at, at + ENTRY_OUT_LENGTH);
  put64(buffer, CACHE_SECONDS, at + 16);
  return at + ENTRY_OUT_LENGTH;
}

/** struct fuse_attr_out. `seconds`: how long the kernel may believe the attributes. */
export function putAttr(buffer: Buffer, attributes: Attributes, seconds: number, at: number): number {
  put64(buffer, seconds, at);
  put64(buffer, 0, at + 8);
  return putAttributes(buffer, attributes, at + 16);
}

const FOPEN_DIRECT_IO = 1 << 0;
const FOPEN_KEEP_CACHE = 1 << 1;
const FOPEN_CACHE_DIR = 1 << 3;
const FOPEN_PASSTHROUGH = 1 << 7;
const OPEN_OUT_LENGTH = 16;

/** struct fuse_open_out. */
function putOpenOut(buffer: Buffer, handle: number, flags: number, backingId: number, at: number): number {
  put64(buffer, handle, at);
  buffer.writeUInt32LE(flags, at + 8);
  return buffer.writeInt32LE(backingId, at + 12);
}

/** struct fuse_open_out of a file whose bytes pass through us. */
export function putOpened(buffer: Buffer, opened: Opened, at: number): number {
  const flags = (opened.directIo ? FOPEN_DIRECT_IO : 0) | (opened.keepCache ? FOPEN_KEEP_CACHE : 0);
  return putOpenOut(buffer, opened.handle, flags, 0, at);
}

/** struct fuse_open_out of a file with a backing. The kernel has no pages of its own then, and refuses FOPEN_KEEP_CACHE. */
export function putOpenedPassthrough(buffer: Buffer, handle: number, backingId: number, at: number): number {
  return putOpenOut(buffer, handle, FOPEN_PASSTHROUGH, backingId, at);
}

/** The handle in the struct fuse_open_out that ends at `end`. */
export function handleOpened(buffer: Buffer, end: number): number {
  return get64(buffer, end - OPEN_OUT_LENGTH);
}

/** struct fuse_open_out of a directory: no handle, and the kernel may keep its listing until it is invalidated. */
export function putOpenedDirectory(buffer: Buffer, at: number): number {
  return putOpenOut(buffer, 0, FOPEN_KEEP_CACHE | FOPEN_CACHE_DIR, 0, at);
}

/** struct fuse_write_out, also of COPY_FILE_RANGE. */
export function putWritten(buffer: Buffer, size: number, at: number): number {
  buffer.writeUInt32LE(size, at);
  return buffer.writeUInt32LE(0, at + 4);
}

/** struct fuse_getxattr_out: the length that a probe with size 0 asked for. */
export const putXattrLength = putWritten;

/** struct fuse_kstatfs. */
export function putStatfs(buffer: Buffer, statfs: StatFs, at: number): number {
  put64(buffer, statfs.blocks, at);
  put64(buffer, statfs.blocksFree, at + 8);
  put64(buffer, statfs.blocksAvailable, at + 16);
  put64(buffer, statfs.files, at + 24);
  put64(buffer, statfs.filesFree, at + 32);
  buffer.writeUInt32LE(statfs.blockSize, at + 40);
  buffer.writeUInt32LE(statfs.nameLength, at + 44);
  buffer.writeUInt32LE(statfs.blockSize, at + 48);
  buffer.fill(0, at + 52, at + 80);
  return at + 80;
}

/** STATX_BASIC_STATS | STATX_BTIME of statx(2). */
const STATX_MASK = 0xfff;
const STATX_OUT_LENGTH = 288;

/** struct fuse_sx_time. */
function putStatxTime(buffer: Buffer, time: Timestamp, at: number): number {
  putSigned64(buffer, time.s, at);
  buffer.writeUInt32LE(time.ns, at + 8);
  return buffer.writeInt32LE(0, at + 12);
}

/** struct fuse_statx_out: the only reply that carries the time of birth. */
export function putStatx(buffer: Buffer, attributes: Attributes, seconds: number, at: number): number {
  buffer.fill(0, at, at + STATX_OUT_LENGTH);
  put64(buffer, seconds, at);
  const stat = at + 32;
  buffer.writeUInt32LE(STATX_MASK, stat);
  buffer.writeUInt32LE(BLOCK_SIZE, stat + 4);
  buffer.writeUInt32LE(attributes.nlink, stat + 16);
  buffer.writeUInt32LE(attributes.uid, stat + 20);
  buffer.writeUInt32LE(attributes.gid, stat + 24);
  buffer.writeUInt16LE(attributes.mode, stat + 28);
  put64(buffer, attributes.ino, stat + 32);
  put64(buffer, attributes.size, stat + 40);
  put64(buffer, attributes.blocks, stat + 48);
  putStatxTime(buffer, attributes.atime, stat + 64);
  putStatxTime(buffer, attributes.btime, stat + 80);
  putStatxTime(buffer, attributes.ctime, stat + 96);
  putStatxTime(buffer, attributes.mtime, stat + 112);
  // new_encode_dev: [minor bits 8-19 : 12][major : 12][minor bits 0-7 : 8]
  buffer.writeUInt32LE((attributes.rdev >>> 8) & 0xfff, stat + 128);
  buffer.writeUInt32LE((attributes.rdev & 0xff) | ((attributes.rdev >>> 12) & 0xfff00), stat + 132);
  return at + STATX_OUT_LENGTH;
}

// requests.ts — decodes what the kernel sends on /dev/fuse.
// Invariant: nothing is read outside the bytes received; a request that is shorter than its struct, or whose name has no end,
// is a CorruptionError. Pure. Names are latin1 strings of their bytes. Layouts: include/uapi/linux/fuse.h, protocol 7.31 to 7.45.

import { ByteReader, CorruptionError } from '../codec/bytes.js';
import type { Timestamp } from '../volume/file-system.js';

export const REQUEST_HEADER_LENGTH = 40;

/** A received request: struct fuse_in_header, and a reader that stands on what follows it. */
export interface Request {
  readonly opcode: number;
  /** Names the request in its reply. */
  readonly unique: number;
  /** The inode that it is about. */
  readonly node: number;
  readonly uid: number;
  readonly gid: number;
  readonly pid: number;
  /** The body: ends before the extensions, which we do not ask for. */
  readonly body: ByteReader;
}

/** Reads the header of the `length` bytes that one read(2) of the device put into `buffer`. */
export function decodeRequest(buffer: Buffer, length: number): Request {
  const reader = new ByteReader(buffer, 0, length);
  const total = reader.u32('request length');
  const opcode = reader.u32('opcode');
  const unique = reader.safe64('unique');
  const node = reader.safe64('node id');
  const uid = reader.u32('uid');
  const gid = reader.u32('gid');
  const pid = reader.u32('pid');
  const extensionBytes = reader.u16('extension length') * 8;
  reader.u16('padding');
  if (total !== length) throw new CorruptionError(`request says ${total} bytes, the device gave ${length}`);
  const end = length - extensionBytes;
  if (end < REQUEST_HEADER_LENGTH)
    throw new CorruptionError(`extensions of ${extensionBytes} bytes in a request of ${length}`);
  return { opcode, unique, node, uid, gid, pid, body: new ByteReader(buffer, REQUEST_HEADER_LENGTH, end) };
}

function skip(reader: ByteReader, bytes: number): void {
  if (reader.remaining < bytes)
    throw new CorruptionError(`needs ${bytes} bytes at ${reader.offset}, has ${reader.remaining}`);
  reader.offset += bytes;
}

/** An offset, size or length below 2^64: exact up to 2^53, beyond that a float that is still above 2^53. */
function wide64(reader: ByteReader): number {
  const low = reader.u32();
  return reader.u32() * 2 ** 32 + low;
}

/** Seconds as i64, clamped to the safe integers: ±285 million years. */
function seconds64(reader: ByteReader): number {
  const low = reader.u32();
  const seconds = (reader.u32() | 0) * 2 ** 32 + low;
  return Math.max(-Number.MAX_SAFE_INTEGER, Math.min(Number.MAX_SAFE_INTEGER, seconds));
}

/** Bytes up to a NUL, which is consumed too. */
export function decodeString(reader: ByteReader): string {
  const nul = reader.buffer.indexOf(0, reader.offset);
  if (nul < 0 || nul >= reader.end) throw new CorruptionError(`a name at ${reader.offset} has no end`);
  const text = reader.buffer.toString('latin1', reader.offset, nul);
  reader.offset = nul + 1;
  return text;
}

/** FATTR_* of struct fuse_setattr_in. */
export const FATTR = {
  MODE: 1 << 0,
  UID: 1 << 1,
  GID: 1 << 2,
  SIZE: 1 << 3,
  ATIME: 1 << 4,
  MTIME: 1 << 5,
  FH: 1 << 6,
  ATIME_NOW: 1 << 7,
  MTIME_NOW: 1 << 8,
  LOCKOWNER: 1 << 9,
  CTIME: 1 << 10,
  KILL_SUIDGID: 1 << 11,
} as const;

export interface SetattrRequest {
  /** FATTR bits: which of the fields below count. */
  readonly valid: number;
  readonly handle: number;
  /** May be above 2^53. */
  readonly size: number;
  readonly atime: Timestamp;
  readonly mtime: Timestamp;
  readonly ctime: Timestamp;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
}

/** struct fuse_setattr_in, 88 bytes. */
export function decodeSetattr(body: ByteReader): SetattrRequest {
  const valid = body.u32('setattr valid');
  skip(body, 4);
  const handle = (valid & FATTR.FH) === 0 ? (skip(body, 8), 0) : body.safe64('setattr handle');
  const size = wide64(body);
  skip(body, 8); // lock_owner: any 64 bits
  const atime = seconds64(body);
  const mtime = seconds64(body);
  const ctime = seconds64(body);
  const atimeNs = body.u32('atime ns');
  const mtimeNs = body.u32('mtime ns');
  const ctimeNs = body.u32('ctime ns');
  const mode = body.u32('mode');
  skip(body, 4);
  const uid = body.u32('uid');
  const gid = body.u32('gid');
  skip(body, 4);
  return {
    valid,
    handle,
    size,
    atime: { s: atime, ns: atimeNs },
    mtime: { s: mtime, ns: mtimeNs },
    ctime: { s: ctime, ns: ctimeNs },
    mode,
    uid,
    gid,
  };
}

export interface MknodRequest {
  readonly mode: number;
  readonly rdev: number;
  readonly umask: number;
  readonly name: string;
}

/** struct fuse_mknod_in, name. */
export function decodeMknod(body: ByteReader): MknodRequest {
  const mode = body.u32('mknod mode');
  const rdev = body.u32('mknod rdev');
  const umask = body.u32('mknod umask');
  skip(body, 4);
  return { mode, rdev, umask, name: decodeString(body) };
}

/** struct fuse_mkdir_in, name. */
export function decodeMkdir(body: ByteReader): { mode: number; umask: number; name: string } {
  const mode = body.u32('mkdir mode');
  const umask = body.u32('mkdir umask');
  return { mode, umask, name: decodeString(body) };
}

/** name, target. */
export function decodeSymlink(body: ByteReader): { name: string; target: string } {
  const name = decodeString(body);
  return { name, target: decodeString(body) };
}

export interface RenameRequest {
  readonly newParent: number;
  /** RENAME_* of rename2(2); 0 for plain RENAME. */
  readonly flags: number;
  readonly name: string;
  readonly newName: string;
}

/** struct fuse_rename_in or, with `withFlags`, fuse_rename2_in; then both names. */
export function decodeRename(body: ByteReader, withFlags: boolean): RenameRequest {
  const newParent = body.safe64('new parent');
  let flags = 0;
  if (withFlags) {
    flags = body.u32('rename flags');
    skip(body, 4);
  }
  const name = decodeString(body);
  return { newParent, flags, name, newName: decodeString(body) };
}

/** struct fuse_link_in, name. */
export function decodeLink(body: ByteReader): { ino: number; name: string } {
  const ino = body.safe64('link node');
  return { ino, name: decodeString(body) };
}

/** FUSE_OPEN_KILL_SUIDGID. */
const OPEN_KILL_SUIDGID = 1;

/** struct fuse_open_in. */
export function decodeOpen(body: ByteReader): { flags: number; killSuidGid: boolean } {
  const flags = body.u32('open flags');
  return { flags, killSuidGid: (body.u32('open_flags') & OPEN_KILL_SUIDGID) !== 0 };
}

export interface CreateRequest {
  readonly flags: number;
  readonly mode: number;
  readonly umask: number;
  /** The kernel sends one for TMPFILE too; it means nothing there. */
  readonly name: string;
}

/** struct fuse_create_in, name. */
export function decodeCreate(body: ByteReader): CreateRequest {
  const flags = body.u32('create flags');
  const mode = body.u32('create mode');
  const umask = body.u32('create umask');
  skip(body, 4); // open_flags: a new file has nothing to kill
  return { flags, mode, umask, name: decodeString(body) };
}

export interface ReadRequest {
  /** Means nothing for directories: they are read without a handle. */
  readonly handle: number;
  /** May be above 2^53. */
  readonly offset: number;
  readonly size: number;
  /** As the file was opened, or fcntl(2) left it. */
  readonly flags: number;
}

/** struct fuse_read_in, of READ, READDIR and READDIRPLUS. */
export function decodeRead(body: ByteReader): ReadRequest {
  const handle = body.safe64('read handle');
  const offset = wide64(body);
  const size = body.u32('read size');
  skip(body, 12); // read_flags, lock_owner
  const flags = body.u32('read flags');
  skip(body, 4); // padding
  return { handle, offset, size, flags };
}

/** FUSE_WRITE_KILL_SUIDGID. */
const WRITE_KILL_SUIDGID = 1 << 2;

export interface WriteRequest {
  readonly handle: number;
  /** May be above 2^53. */
  readonly offset: number;
  readonly killSuidGid: boolean;
  /** A view on the request. */
  readonly data: Buffer;
}

/** struct fuse_write_in, data. */
export function decodeWrite(body: ByteReader): WriteRequest {
  const handle = body.safe64('write handle');
  const offset = wide64(body);
  const size = body.u32('write size');
  const flags = body.u32('write flags');
  skip(body, 16); // lock_owner, flags, padding
  return { handle, offset, killSuidGid: (flags & WRITE_KILL_SUIDGID) !== 0, data: body.view(size, 'write data') };
}

/** struct fuse_release_in. */
export function decodeRelease(body: ByteReader): { handle: number } {
  const handle = body.safe64('release handle');
  skip(body, 16); // flags, release_flags, lock_owner
  return { handle };
}

/** struct fuse_fsync_in. */
export function decodeFsync(body: ByteReader): { handle: number; dataOnly: boolean } {
  const handle = body.safe64('fsync handle');
  const flags = body.u32('fsync flags');
  skip(body, 4);
  return { handle, dataOnly: (flags & 1) !== 0 };
}

/** FUSE_SETXATTR_ACL_KILL_SGID. */
const SETXATTR_ACL_KILL_SGID = 1;

export interface SetxattrRequest {
  readonly name: string;
  /** A view on the request. */
  readonly value: Buffer;
  /** XATTR_CREATE 1, XATTR_REPLACE 2. */
  readonly flags: number;
  readonly killSgid: boolean;
}

/** struct fuse_setxattr_in, 16 bytes when SETXATTR_EXT was agreed on, else 8; name; value. */
export function decodeSetxattr(body: ByteReader, extended: boolean): SetxattrRequest {
  const size = body.u32('setxattr size');
  const flags = body.u32('setxattr flags');
  let killSgid = false;
  if (extended) {
    killSgid = (body.u32('setxattr_flags') & SETXATTR_ACL_KILL_SGID) !== 0;
    skip(body, 4);
  }
  const name = decodeString(body);
  return { name, value: body.view(size, 'xattr value'), flags, killSgid };
}

/** struct fuse_getxattr_in. `size` 0 asks for the length. */
export function decodeXattrSize(body: ByteReader): number {
  const size = body.u32('xattr size');
  skip(body, 4);
  return size;
}

export interface FallocateRequest {
  readonly handle: number;
  /** May be above 2^53. */
  readonly offset: number;
  /** May be above 2^53. */
  readonly length: number;
  /** FALLOC_FL_* of fallocate(2). */
  readonly mode: number;
}

/** struct fuse_fallocate_in. */
export function decodeFallocate(body: ByteReader): FallocateRequest {
  const handle = body.safe64('fallocate handle');
  const offset = wide64(body);
  const length = wide64(body);
  const mode = body.u32('fallocate mode');
  skip(body, 4);
  return { handle, offset, length, mode };
}

/** struct fuse_lseek_in. `offset` may be above 2^53. */
export function decodeLseek(body: ByteReader): { handle: number; offset: number; whence: number } {
  const handle = body.safe64('lseek handle');
  const offset = wide64(body);
  const whence = body.u32('lseek whence');
  skip(body, 4);
  return { handle, offset, whence };
}

export interface CopyFileRangeRequest {
  readonly source: number;
  /** May be above 2^53. */
  readonly sourceOffset: number;
  readonly targetNode: number;
  readonly target: number;
  /** May be above 2^53. */
  readonly targetOffset: number;
  /** May be above 2^53. */
  readonly length: number;
}

/** struct fuse_copy_file_range_in, of COPY_FILE_RANGE and COPY_FILE_RANGE_64. */
export function decodeCopyFileRange(body: ByteReader): CopyFileRangeRequest {
  const source = body.safe64('copy source');
  const sourceOffset = wide64(body);
  const targetNode = body.safe64('copy target node');
  const target = body.safe64('copy target');
  const targetOffset = wide64(body);
  const length = wide64(body);
  skip(body, 8); // flags: none are defined
  return { source, sourceOffset, targetNode, target, targetOffset, length };
}

/** struct fuse_batch_forget_in, and a struct fuse_forget_one for each: calls `each` with its node id. */
export function decodeBatchForget(body: ByteReader, each: (node: number) => void): void {
  const count = body.u32('count of forgotten nodes');
  skip(body, 4);
  for (let n = 0; n < count; n++) {
    const node = body.safe64('forgotten node id');
    skip(body, 8); // how many lookups
    each(node);
  }
}

/** struct fuse_interrupt_in: the unique of the request to give up. */
export function decodeInterrupt(body: ByteReader): number {
  return body.safe64('interrupted unique');
}

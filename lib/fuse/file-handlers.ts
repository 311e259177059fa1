// file-handlers.ts — requests on open files.
// Offsets up to 2^63 - 1 reach us: a read past 2^53 - 1 is past the end of any file, and what would grow one beyond that is EFBIG.

import { PosixError, posixError } from '../errno.js';
import type { Created, Ino, Opened } from '../volume/file-system.js';
import { modeForStrangers } from './attribute-handlers.js';
import { expectBackedReads, fileCopied, fileRead, noteBackedReads, readWillMove } from './atime-policy.js';
import { attributeSeconds, type Call, callerOf, checkName, checkRange, EMPTY, MAX_FILE_BYTES } from './call.js';
import {
  ENTRY_OUT_LENGTH,
  put64,
  putEntry,
  putOpened,
  putOpenedPassthrough,
  putWritten,
  REPLY_HEADER_LENGTH,
} from './replies.js';
import {
  type CopyFileRangeRequest,
  decodeCopyFileRange,
  decodeCreate,
  decodeFallocate,
  decodeFsync,
  decodeLseek,
  decodeOpen,
  decodeRead,
  decodeRelease,
  decodeWrite,
} from './requests.js';

const SUID_SGID = 0o6000;
const O_ACCMODE = 3;
const O_EXCL = 0o200;

/**
 * Under HANDLE_KILLPRIV_V2 an opening that truncates drops set-user-id and set-group-id here, and the kernel goes on to trust the mode
 * that it has cached when somebody executes the file. So it is told. (Before a write it asks by SETATTR, whose reply tells it.)
 */
function openWithoutPrivileges(call: Call, flags: number): Opened {
  const { request, fileSystem, cache } = call;
  const caller = callerOf(request);
  const privileged = (fileSystem.getattr(request.node).mode & SUID_SGID) !== 0;
  const mode = privileged ? modeForStrangers(call) : undefined;
  const opened = fileSystem.open(request.node, flags, true, caller);
  if (mode !== undefined) fileSystem.setattr(request.node, { mode }, caller, opened.handle);
  if (privileged) cache.invalidateInode(request.node, false);
  return opened;
}

/** Backs the inode when the filesystem says so. */
function openedReply(call: Call, ino: Ino, flags: number, opened: Opened, at: number): number {
  const { reply, fileSystem, backings } = call;
  const { handle, backing } = opened;
  if (backing === undefined) return putOpened(reply, opened, at);
  let id: number;
  try {
    id = backings.add(ino, handle, backing, flags & O_ACCMODE);
  } catch (error) {
    fileSystem.release(handle);
    throw error;
  }
  expectBackedReads(call, ino);
  return putOpenedPassthrough(reply, handle, id, at);
}

export function open(call: Call): number {
  const { request, fileSystem, backings, cache } = call;
  const ino = request.node;
  const { flags, killSuidGid } = decodeOpen(request.body);
  // Dropping the pages would wait for those that a read has locked.
  const willMove = !call.isAwaited(ino) && readWillMove(call, flags);
  const made = killSuidGid ? openWithoutPrivileges(call, flags) : fileSystem.open(ino, flags, false, callerOf(request));
  const opened = willMove ? { ...made, keepCache: false } : made;
  const known = !backings.changesUnseen(ino);
  const end = openedReply(call, ino, flags, opened, REPLY_HEADER_LENGTH);
  if (known && backings.changesUnseen(ino)) cache.invalidateInode(ino, false);
  return end;
}

function createdReply(call: Call, flags: number, made: Created): number {
  const { attributes, opened } = made;
  const end = openedReply(call, attributes.ino, flags, opened, REPLY_HEADER_LENGTH + ENTRY_OUT_LENGTH);
  putEntry(call.reply, attributes, attributeSeconds(call, attributes), REPLY_HEADER_LENGTH);
  return end;
}

export function create(call: Call): number {
  const { request, fileSystem } = call;
  const { name, mode, flags, umask } = decodeCreate(request.body);
  const caller = callerOf(request);
  try {
    return createdReply(call, flags, fileSystem.create(request.node, checkName(name), mode, flags, umask, caller));
  } catch (error) {
    const exists = error instanceof PosixError && error.code === 'EEXIST';
    // Another site made it since the kernel looked. At ESTALE the kernel looks again, checks permissions, and opens what is there.
    throw exists && (flags & O_EXCL) === 0 ? posixError('ESTALE') : error;
  }
}

export function tmpfile(call: Call): number {
  const { request, fileSystem } = call;
  const { mode, flags, umask } = decodeCreate(request.body);
  return createdReply(call, flags, fileSystem.tmpfile(request.node, mode, flags, umask, callerOf(request)));
}

export function read(call: Call): number {
  const { request, reply, fileSystem } = call;
  const { handle, offset, size, flags } = decodeRead(request.body);
  if (size > reply.length - REPLY_HEADER_LENGTH) throw posixError('EINVAL');
  if (offset > MAX_FILE_BYTES) return EMPTY;
  const length = fileSystem.read(handle, offset, size, reply, REPLY_HEADER_LENGTH);
  fileRead(call, flags);
  return REPLY_HEADER_LENGTH + length;
}

export function write({ request, reply, fileSystem }: Call): number {
  const { handle, offset, killSuidGid, data } = decodeWrite(request.body);
  checkRange(offset, data.length);
  return putWritten(reply, fileSystem.write(handle, offset, data, killSuidGid), REPLY_HEADER_LENGTH);
}

export function release(call: Call): number {
  const { request, fileSystem, backings } = call;
  const { handle } = decodeRelease(request.body);
  try {
    noteBackedReads(call);
  } finally {
    if (backings.release(request.node, handle)) fileSystem.release(handle);
  }
  return EMPTY;
}

export function fsync({ request, fileSystem }: Call): number {
  const { handle, dataOnly } = decodeFsync(request.body);
  fileSystem.fsync(handle, dataOnly);
  return EMPTY;
}

export function fallocate({ request, fileSystem }: Call): number {
  const { handle, mode, offset, length } = decodeFallocate(request.body);
  checkRange(offset, length);
  fileSystem.fallocate(handle, mode, offset, length);
  return EMPTY;
}

export function lseek({ request, reply, fileSystem }: Call): number {
  const { handle, offset, whence } = decodeLseek(request.body);
  if (offset > MAX_FILE_BYTES) throw posixError('ENXIO');
  return put64(reply, fileSystem.lseek(handle, offset, whence), REPLY_HEADER_LENGTH);
}

/** How much of a source may be asked for in one go: the copy itself decides how much it takes. */
const MAX_COPY_BYTES = 1 << 30;

function copyRange(call: Call, copy: CopyFileRangeRequest): number {
  if (copy.sourceOffset > MAX_FILE_BYTES) return 0;
  const length = Math.min(copy.length, MAX_COPY_BYTES, MAX_FILE_BYTES - copy.sourceOffset);
  checkRange(copy.targetOffset, length);
  const { source, sourceOffset, target, targetOffset } = copy;
  const copied = call.fileSystem.copyFileRange(source, sourceOffset, target, targetOffset, length);
  if (copied > 0) fileCopied(call, source);
  return copied;
}

export function copyFileRange(call: Call): number {
  return putWritten(call.reply, copyRange(call, decodeCopyFileRange(call.request.body)), REPLY_HEADER_LENGTH);
}

/** The same with a 64-bit answer, since 7.45. */
export function copyFileRange64(call: Call): number {
  return put64(call.reply, copyRange(call, decodeCopyFileRange(call.request.body)), REPLY_HEADER_LENGTH);
}

// namespace-handlers.ts — requests that look up, make, move and remove names.
// The kernel has checked permissions (default_permissions), types and directory loops, and holds the directories' locks. It calls on the
// names that it knows: a name that changed at another site meanwhile gets the filesystem's own answer.

import { PosixError, posixError } from '../errno.js';
import type { Attributes } from '../volume/file-system.js';
import { fileRead } from './atime-policy.js';
import { attributeSeconds, type Call, callerOf, checkName, EMPTY } from './call.js';
import { putEntry, putNegativeEntry, REPLY_HEADER_LENGTH } from './replies.js';
import { decodeLink, decodeMkdir, decodeMknod, decodeRename, decodeString, decodeSymlink } from './requests.js';

function entryReply(call: Call, attributes: Attributes): number {
  return putEntry(call.reply, attributes, attributeSeconds(call, attributes), REPLY_HEADER_LENGTH);
}

/** `.` by a node id from a file handle (EXPORT_SUPPORT: open_by_handle_at(2), NFS): an inode that ended is ESTALE. */
function lookupSelf({ request, fileSystem }: Call): Attributes {
  let found: Attributes;
  try {
    found = fileSystem.getattr(request.node);
  } catch (error) {
    if (error instanceof PosixError && error.code === 'ENOENT') throw posixError('ESTALE');
    throw error;
  }
  // The kernel asks for what it does not know: nobody has it open either.
  if (found.nlink === 0) throw posixError('ESTALE');
  return found;
}

/** `..` likewise. */
function lookupParent({ request, fileSystem }: Call): Attributes {
  let parent: number | undefined;
  fileSystem.readdir(request.node, 0, (entry) => {
    if (entry.name === '..') parent = entry.ino;
    return parent === undefined;
  });
  if (parent === undefined) throw posixError('ESTALE');
  return fileSystem.getattr(parent);
}

export function lookup(call: Call): number {
  const { request, reply, fileSystem } = call;
  const name = checkName(decodeString(request.body));
  if (name === '.') return entryReply(call, lookupSelf(call));
  if (name === '..') return entryReply(call, lookupParent(call));
  const found = fileSystem.lookup(request.node, name);
  return found === undefined ? putNegativeEntry(reply, REPLY_HEADER_LENGTH) : entryReply(call, found);
}

export function readlink(call: Call): number {
  const { request, reply, fileSystem } = call;
  const length = reply.write(fileSystem.readlink(request.node), REPLY_HEADER_LENGTH, 'latin1');
  fileRead(call, 0);
  return REPLY_HEADER_LENGTH + length;
}

export function mknod(call: Call): number {
  const { request, fileSystem } = call;
  const { mode, rdev, umask, name } = decodeMknod(request.body);
  return entryReply(call, fileSystem.mknod(request.node, checkName(name), mode, rdev, umask, callerOf(request)));
}

export function mkdir(call: Call): number {
  const { request, fileSystem } = call;
  const { mode, umask, name } = decodeMkdir(request.body);
  return entryReply(call, fileSystem.mkdir(request.node, checkName(name), mode, umask, callerOf(request)));
}

export function symlink(call: Call): number {
  const { request, fileSystem } = call;
  const { name, target } = decodeSymlink(request.body);
  return entryReply(call, fileSystem.symlink(request.node, checkName(name), target, callerOf(request)));
}

export function link(call: Call): number {
  const { request, fileSystem } = call;
  const { ino, name } = decodeLink(request.body);
  return entryReply(call, fileSystem.link(ino, request.node, checkName(name), callerOf(request)));
}

export function unlink({ request, fileSystem }: Call): number {
  fileSystem.unlink(request.node, checkName(decodeString(request.body)), callerOf(request));
  return EMPTY;
}

export function rmdir({ request, fileSystem }: Call): number {
  fileSystem.rmdir(request.node, checkName(decodeString(request.body)), callerOf(request));
  return EMPTY;
}

function renameCall({ request, fileSystem }: Call, withFlags: boolean): number {
  const { newParent, flags, name, newName } = decodeRename(request.body, withFlags);
  fileSystem.rename(request.node, checkName(name), newParent, checkName(newName), flags, callerOf(request));
  return EMPTY;
}

export function rename(call: Call): number {
  return renameCall(call, false);
}

export function rename2(call: Call): number {
  return renameCall(call, true);
}

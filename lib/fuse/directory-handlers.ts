// directory-handlers.ts — reading and syncing directories.
// Directories have no handles: OPENDIR is answered ENOSYS once, where the kernel takes that for "always open, listing cached".
// Invariant: the filesystem is never called from within its own readdir.

import { posixError } from '../errno.js';
import type { DirectoryEntry } from '../volume/file-system.js';
import { directoryRead } from './atime-policy.js';
import { attributeSeconds, type Call, EMPTY } from './call.js';
import { direntLength, direntPlusLength, putDirent, putDirentPlus } from './dirents.js';
import { putOpenedDirectory, REPLY_HEADER_LENGTH } from './replies.js';
import { decodeRead } from './requests.js';

export function opendir({ reply, agreement }: Call): number {
  if (agreement.noOpendir) throw posixError('ENOSYS');
  return putOpenedDirectory(reply, REPLY_HEADER_LENGTH);
}

export function releasedir(): number {
  return EMPTY;
}

/** The entries whose records fit into the size that the kernel gave. */
function entriesThatFit(call: Call, lengthOf: (name: string) => number): DirectoryEntry[] {
  const { request, reply, fileSystem } = call;
  const { offset, size, flags } = decodeRead(request.body);
  let room = Math.min(size, reply.length - REPLY_HEADER_LENGTH);
  const entries: DirectoryEntry[] = [];
  fileSystem.readdir(request.node, offset, (entry) => {
    room -= lengthOf(entry.name);
    if (room >= 0) entries.push(entry);
    return room >= 0;
  });
  directoryRead(call, flags);
  return entries;
}

export function readdir(call: Call): number {
  let at = REPLY_HEADER_LENGTH;
  for (const entry of entriesThatFit(call, direntLength)) at = putDirent(call.reply, entry, at);
  return at;
}

export function readdirplus(call: Call): number {
  const { reply, fileSystem } = call;
  let at = REPLY_HEADER_LENGTH;
  for (const entry of entriesThatFit(call, direntPlusLength)) {
    const dots = entry.name === '.' || entry.name === '..';
    const attributes = dots ? undefined : fileSystem.getattr(entry.ino);
    at = putDirentPlus(reply, entry, attributes, attributes ? attributeSeconds(call, attributes) : 0, at);
  }
  return at;
}

/** FSYNCDIR; SYNCFS too, which covers no less. */
export function fsyncdir({ request, fileSystem }: Call): number {
  fileSystem.fsyncdir(request.node);
  return EMPTY;
}

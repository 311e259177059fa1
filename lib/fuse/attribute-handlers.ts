// attribute-handlers.ts — GETATTR, STATX, SETATTR, STATFS.
// What the kernel keeps of attributes: it takes what a reply carries for as long as replies.ts says, and marks as stale by itself
// what an operation changed besides (directory times, ctime of an unlinked file, size and times after a write).

import type { AttributeChanges, Attributes, Timestamp } from '../volume/file-system.js';
import { expectBackedReads, noteBackedReads } from './atime-policy.js';
import { attributeSeconds, type Call, callerOf, checkRange } from './call.js';
import { isMember } from './group-membership.js';
import { putAttr, putStatfs, putStatx, REPLY_HEADER_LENGTH } from './replies.js';
import { decodeSetattr, FATTR, type SetattrRequest } from './requests.js';

const S_IFMT = 0o170000;
const S_IFDIR = 0o040000;
const S_ISUID = 0o4000;
const S_ISGID = 0o2000;
const S_IXGRP = 0o010;

function attrReply(call: Call, attributes: Attributes): number {
  return putAttr(call.reply, attributes, attributeSeconds(call, attributes), REPLY_HEADER_LENGTH);
}

export function getattr(call: Call): number {
  noteBackedReads(call);
  return attrReply(call, call.fileSystem.getattr(call.request.node));
}

/** Sent instead of GETATTR when somebody asks for the time of birth. */
export function statx(call: Call): number {
  noteBackedReads(call);
  const attributes = call.fileSystem.getattr(call.request.node);
  return putStatx(call.reply, attributes, attributeSeconds(call, attributes), REPLY_HEADER_LENGTH);
}

/** A time that `set` says to change: to now, or to `time`. */
function timeChange(valid: number, set: number, now: number, time: Timestamp): Timestamp | 'now' | undefined {
  if ((valid & set) === 0) return undefined;
  return (valid & now) === 0 ? time : 'now';
}

/**
 * Under HANDLE_KILLPRIV_V2 the kernel leaves the dropping of set-user-id and set-group-id to us. It asks for it by FATTR_KILL_SUIDGID; by
 * FATTR_UID or FATTR_GID, since chown(2) drops them whoever calls; or by no bit at all, for chown(-1, -1) and before write(2),
 * fallocate(2) and copy_file_range(2) by a plain user.
 */
const CHOWN = FATTR.UID | FATTR.GID;
const ANY_CHANGE = CHOWN | FATTR.MODE | FATTR.SIZE | FATTR.ATIME | FATTR.MTIME | FATTR.CTIME;

export function attributeChanges(asked: SetattrRequest): AttributeChanges {
  const { valid } = asked;
  const changes: AttributeChanges = {};
  if ((valid & FATTR.MODE) !== 0) changes.mode = asked.mode & 0o7777;
  if ((valid & FATTR.UID) !== 0) changes.uid = asked.uid;
  if ((valid & FATTR.GID) !== 0) changes.gid = asked.gid;
  if ((valid & FATTR.SIZE) !== 0) changes.size = asked.size;
  const atime = timeChange(valid, FATTR.ATIME, FATTR.ATIME_NOW, asked.atime);
  if (atime !== undefined) changes.atime = atime;
  const mtime = timeChange(valid, FATTR.MTIME, FATTR.MTIME_NOW, asked.mtime);
  if (mtime !== undefined) changes.mtime = mtime;
  if ((valid & FATTR.CTIME) !== 0) changes.ctime = asked.ctime;
  if ((valid & (FATTR.KILL_SUIDGID | CHOWN)) !== 0 || (valid & ANY_CHANGE) === 0) changes.killSuidGid = true;
  return changes;
}

/**
 * Set-group-id without execution by the group is no privilege to the filesystem, which keeps it; Linux takes it all the same from a
 * file that somebody changes who is not of its group (setattr_should_drop_sgid). Returns the mode that is left then, else undefined.
 */
export function modeForStrangers({ request, fileSystem }: Call): number | undefined {
  const { mode, gid } = fileSystem.getattr(request.node);
  if ((mode & S_IFMT) === S_IFDIR || (mode & (S_ISGID | S_IXGRP)) !== S_ISGID || isMember(request, gid))
    return undefined;
  return mode & 0o7777 & ~(S_ISUID | S_ISGID);
}

export function setattr(call: Call): number {
  const { request, fileSystem } = call;
  const asked = decodeSetattr(request.body);
  const changes = attributeChanges(asked);
  if (changes.killSuidGid && changes.mode === undefined) {
    const left = modeForStrangers(call);
    if (left !== undefined) changes.mode = left;
  }
  if (changes.size !== undefined) checkRange(changes.size, 0);
  const handle = (asked.valid & FATTR.FH) === 0 ? undefined : asked.handle;
  noteBackedReads(call);
  const attributes = fileSystem.setattr(request.node, changes, callerOf(request), handle);
  expectBackedReads(call, request.node);
  return attrReply(call, attributes);
}

export function statfs({ reply, fileSystem }: Call): number {
  return putStatfs(reply, fileSystem.statfs(), REPLY_HEADER_LENGTH);
}

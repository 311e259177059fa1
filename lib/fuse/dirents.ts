// dirents.ts — packs directory entries into a READDIR or READDIRPLUS reply.
// Layout of one record, padded to 8 bytes:  [fuse_entry_out, PLUS only][u64 ino][u64 cookie][u32 name length][u32 type][name]
// Invariant: records never pass the size that the kernel gave; one that does not fit is left for the next request. Pure.

import type { Attributes, DirectoryEntry } from '../volume/file-system.js';
import { ENTRY_OUT_LENGTH, put64, putEntry } from './replies.js';

const DIRENT_LENGTH = 24;

function padded(length: number): number {
  return (length + 7) & ~7;
}

/** Bytes of a READDIR record. */
export function direntLength(name: string): number {
  return padded(DIRENT_LENGTH + name.length);
}

/** Bytes of a READDIRPLUS record. */
export function direntPlusLength(name: string): number {
  return padded(ENTRY_OUT_LENGTH + DIRENT_LENGTH + name.length);
}

/** struct fuse_dirent; returns the offset behind it and its padding. */
export function putDirent(buffer: Buffer, entry: DirectoryEntry, at: number): number {
  const end = at + direntLength(entry.name);
  put64(buffer, entry.ino, at);
  put64(buffer, entry.cookie, at + 8);
  buffer.writeUInt32LE(entry.name.length, at + 16);
  buffer.writeUInt32LE(entry.type, at + 20);
  buffer.write(entry.name, at + DIRENT_LENGTH, 'latin1');
  buffer.fill(0, at + DIRENT_LENGTH + entry.name.length, end);
  return end;
}

/** struct fuse_direntplus. Without attributes (as for `.` and `..`) the kernel learns the name, and no inode. */
export function putDirentPlus(
  buffer: Buffer,
  entry: DirectoryEntry,
  attributes: Attributes | undefined,
  seconds: number,
  at: number,
): number {
  const dirent = at + ENTRY_OUT_LENGTH;
  if (attributes === undefined) buffer.fill(0, at, dirent);
  else putEntry(buffer, attributes, seconds, at);
  return putDirent(buffer, entry, dirent);
}

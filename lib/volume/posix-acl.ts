// posix-acl.ts — POSIX.1e access control lists as the kernel passes them in xattrs: how they follow the mode, and inherit.
// Pure. The kernel checks permissions with them; the filesystem keeps list and mode consistent (fs/posix_acl.c, acl(5)).
// Layout (linux/posix_acl_xattr.h): u32 version 2, then per entry u16 tag, u16 perm, u32 id.

import { posixError } from '../errno.js';

export const ACCESS_ACL = 'system.posix_acl_access';
export const DEFAULT_ACL = 'system.posix_acl_default';

const VERSION = 2;
const USER_OBJ = 0x01;
const USER = 0x02;
const GROUP_OBJ = 0x04;
const GROUP = 0x08;
const MASK = 0x10;
const OTHER = 0x20;
const NO_ID = 0xffffffff;

interface AclEntry {
  readonly tag: number;
  perm: number;
  readonly id: number;
}

/** Decodes and checks a list as posix_acl_valid does. An empty value is null: the list is removed. @throws PosixError EINVAL */
export function decodeAcl(value: Uint8Array): AclEntry[] | null {
  const bytes = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  if (bytes.length < 4 || (bytes.length - 4) % 8 !== 0) throw posixError('EINVAL');
  if (bytes.readUInt32LE(0) !== VERSION) throw posixError('EOPNOTSUPP');
  const entries: AclEntry[] = [];
  for (let at = 4; at < bytes.length; at += 8) {
    entries.push({ tag: bytes.readUInt16LE(at), perm: bytes.readUInt16LE(at + 2), id: bytes.readUInt32LE(at + 4) });
  }
  if (entries.length === 0) return null;
  assertValid(entries);
  return entries;
}

function assertValid(entries: readonly AclEntry[]): void {
  const count = new Map<number, number>();
  let last = 0;
  for (const { tag, perm } of entries) {
    const known = [USER_OBJ, USER, GROUP_OBJ, GROUP, MASK, OTHER].includes(tag);
    if (!known || perm > 7 || tag < last) throw posixError('EINVAL');
    last = tag;
    count.set(tag, (count.get(tag) ?? 0) + 1);
  }
  const named = (count.get(USER) ?? 0) + (count.get(GROUP) ?? 0);
  const masks = count.get(MASK) ?? 0;
  const each = [USER_OBJ, GROUP_OBJ, OTHER].every((tag) => count.get(tag) === 1);
  if (!each || masks > 1 || (named > 0 && masks === 0)) throw posixError('EINVAL');
}

export function encodeAcl(entries: readonly AclEntry[]): Buffer {
  const bytes = Buffer.alloc(4 + entries.length * 8);
  bytes.writeUInt32LE(VERSION, 0);
  entries.forEach((entry, i) => {
    bytes.writeUInt16LE(entry.tag, 4 + i * 8);
    bytes.writeUInt16LE(entry.perm, 6 + i * 8);
    bytes.writeUInt32LE(entry.tag === USER || entry.tag === GROUP ? entry.id : NO_ID, 8 + i * 8);
  });
  return bytes;
}

function find(entries: readonly AclEntry[], tag: number): AclEntry | undefined {
  return entries.find((entry) => entry.tag === tag);
}

/** The nine permission bits that a list stands for; the group bits are the mask's when there is one. */
export function modeOfAcl(entries: readonly AclEntry[]): number {
  const group = find(entries, MASK) ?? find(entries, GROUP_OBJ)!;
  return (find(entries, USER_OBJ)!.perm << 6) | (group.perm << 3) | find(entries, OTHER)!.perm;
}

/** A list with no more than the mode says needs no xattr (posix_acl_equiv_mode). */
export function isEquivalentToMode(entries: readonly AclEntry[]): boolean {
  return entries.every(({ tag }) => tag === USER_OBJ || tag === GROUP_OBJ || tag === OTHER);
}

/** The access list of a file that has this mode, as chmod(2) to it leaves the list (__posix_acl_chmod_masq). */
export function aclWithMode(value: Uint8Array, mode: number): Buffer {
  const entries = decodeAcl(value) ?? [];
  const groupClass = find(entries, MASK) ?? find(entries, GROUP_OBJ);
  for (const entry of entries) {
    if (entry.tag === USER_OBJ) entry.perm = (mode >> 6) & 7;
    else if (entry === groupClass) entry.perm = (mode >> 3) & 7;
    else if (entry.tag === OTHER) entry.perm = mode & 7;
  }
  return encodeAcl(entries);
}

/**
 * What a new object gets from its directory's default list (posix_acl_create_masq): its mode, and its access list unless the mode
 * says it all. `mode` is what the caller asked for; the umask does not apply.
 */
export function inheritAcl(value: Uint8Array, mode: number): { mode: number; access: Buffer | null } {
  const entries = decodeAcl(value);
  if (!entries) return { mode, access: null };
  const groupClass = find(entries, MASK) ?? find(entries, GROUP_OBJ)!;
  for (const entry of entries) {
    if (entry.tag === USER_OBJ) entry.perm &= (mode >> 6) & 7;
    else if (entry === groupClass) entry.perm &= (mode >> 3) & 7;
    else if (entry.tag === OTHER) entry.perm &= mode & 7;
  }
  const inherited = (mode & ~0o777) | modeOfAcl(entries);
  return { mode: inherited, access: isEquivalentToMode(entries) ? null : encodeAcl(entries) };
}

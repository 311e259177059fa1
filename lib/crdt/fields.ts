// fields.ts — the registers of an inode: how each value is spelled. What they say together is in inode-attributes.ts.
// Invariant: format(parse(x)) === x, so that equal values are equal strings; anything else is a CorruptionError. Bounds
// (name lengths, ranges) are register-schema.ts's; the volume's own are volume-fields.ts's. Names, targets and attribute values are latin1 strings of their bytes.
//
//   born      <f|d|l|c|b|p|s> <parent>/<name> <btime> <mode> <uid> <gid> <rdev>      the name is empty for what was born
//             without one (root, O_TMPFILE)
//   link:<id> <parent>/<name>                                place of birth
//             <parent>/<name>\0[<prevParent>/<prevName>]     moved or linked there
//             -<parent>/<name>\0[<op>,<op>…]                 tombstone: removed from there, having seen those heads
//   mode      base * 65536 + mode      uid gid  int          target  bytes      into  <canonical ino>
//   times     <s.nnnnnnnnn>            head  <manifest id> <size> <mtime> <copy ino>      x:<name>  =<value> | -
//                                            a version with holes also says its st_blocks: … <blocks>
//                                            a merge of versions also names those it is made of: … <op>,<op>…

import { CorruptionError } from '../codec/bytes.js';
import type { Value } from './change.js';
import type { ActorId, ActorTable, Ino, LinkId, Name, ObjectId, OpId } from './ids.js';
import type { Timestamp } from './inode.js';

export const LINK_PREFIX = 'link:';
export const XATTR_PREFIX = 'x:';

/** Regular, directory, symlink, character and block device, pipe, socket. */
export type FileType = 'f' | 'd' | 'l' | 'c' | 'b' | 'p' | 's';

/** The S_IFMT bits of a type, and (>> 12) its d_type. inode(7). */
const TYPE_BITS: Readonly<Record<FileType, number>> = {
  f: 0o100000,
  d: 0o040000,
  l: 0o120000,
  c: 0o020000,
  b: 0o060000,
  p: 0o010000,
  s: 0o140000,
};

export function typeBits(type: FileType): number {
  return TYPE_BITS[type];
}

/** The d_type of readdir(3). */
export function direntType(type: FileType): number {
  return TYPE_BITS[type] >> 12;
}

export const DIRECTORY_DIRENT_TYPE = 4;
export const REGULAR_DIRENT_TYPE = 8;

export interface Place {
  readonly parent: Ino;
  readonly name: Name;
}

/** What an inode was made as. It costs one register where most inodes are never changed in mode or owner. */
export interface Born extends Place {
  readonly type: FileType;
  readonly btime: Timestamp;
  /** The 12 permission bits, until `mode` is written; and so for the owners. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** In the kernel's new_encode_dev form; 0 for what is no device. */
  readonly rdev: number;
}

export interface PlacedLink extends Place {
  readonly kind: 'place';
  /** Put there by rename(2), link(2) or linkat(2); false when it was born there. */
  readonly moved: boolean;
  /** Where a rename took it from. */
  readonly prev: Place | undefined;
}

export interface Tombstone extends Place {
  readonly kind: 'tombstone';
  /** The heads that the remover had seen, each `counter@actor`. */
  readonly cites: readonly string[];
}

export type LinkValue = PlacedLink | Tombstone;

export interface Head {
  readonly manifest: ObjectId;
  readonly size: number;
  readonly mtime: Timestamp;
  /** The inode number under which this version is shown should it lose. */
  readonly copyIno: Ino;
  /** Of a version with holes: st_blocks, in units of 512 bytes. Without it there is a block for every byte. */
  readonly blocks?: number | undefined;
  /** Of a version that a site made by merging others: what people wrote that is in it, each `counter@actor`. */
  readonly merged?: readonly string[] | undefined;
}

const BLOCK_BYTES = 4096;
const SECTORS_PER_BLOCK = 8;
const NANOSECOND_DIGITS = 9;
const OBJECT_ID = /^[0-9a-f]{64}$/;
const CITATION = /^(?:0|[1-9]\d{0,15})@[0-9a-f]{32}$/;

function malformed(what: string, text: Value): CorruptionError {
  return new CorruptionError(`${what}: malformed value ${JSON.stringify(text).slice(0, 200)}`);
}

/** The canonical non-negative safe integer between two offsets; NaN when there is none. Places are parsed on every operation. */
function digitsBetween(text: string, start: number, end: number): number {
  const length = end - start;
  if (length < 1 || length > 16 || (length > 1 && text.charCodeAt(start) === 0x30)) return NaN;
  let value = 0;
  for (let i = start; i < end; i++) {
    const digit = text.charCodeAt(i) - 0x30;
    if (digit < 0 || digit > 9) return NaN;
    value = value * 10 + digit;
  }
  return Number.isSafeInteger(value) ? value : NaN;
}

/** A canonical non-negative safe integer. */
export function parseInteger(text: string, what: string): number {
  const value = digitsBetween(text, 0, text.length);
  if (Number.isNaN(value)) throw malformed(what, text);
  return value;
}

export function formatTimestamp(time: Timestamp): string {
  return `${time.s}.${String(time.ns).padStart(9, '0')}`;
}

export function parseTimestamp(value: Value, what = 'time'): Timestamp {
  if (typeof value !== 'string') throw malformed(what, value);
  return timestampBetween(value, 0, value.length, what);
}

function timestampBetween(text: string, start: number, end: number, what: string): Timestamp {
  const point = end - NANOSECOND_DIGITS - 1;
  const isNegative = text.charCodeAt(start) === 0x2d;
  const seconds = digitsBetween(text, isNegative ? start + 1 : start, point);
  let ns = 0;
  for (let i = point + 1; i < end; i++) {
    const digit = text.charCodeAt(i) - 0x30;
    ns = digit < 0 || digit > 9 ? NaN : ns * 10 + digit;
  }
  const s = isNegative ? -seconds : seconds;
  if (Number.isNaN(s + ns) || Object.is(s, -0) || text.charCodeAt(point) !== 0x2e) throw malformed(what, text);
  return { s, ns };
}

/** Negative, zero or positive as a is before, at or after b. */
export function compareTimes(a: Timestamp, b: Timestamp): number {
  return a.s - b.s || a.ns - b.ns;
}

/** The earliest time after this one. */
export function nextNanosecond({ s, ns }: Timestamp): Timestamp {
  return ns + 1 < 1e9 ? { s, ns: ns + 1 } : { s: s + 1, ns: 0 };
}

/** A stamp (microseconds since 1970) as a time. */
export function timeOfStamp(stamp: number): Timestamp {
  const s = Math.floor(stamp / 1e6);
  return { s, ns: (stamp - s * 1e6) * 1000 };
}

/** The place spelled between two offsets of a value. */
function parsePlace(text: string, start: number, end: number, what: string): Place {
  const slash = text.indexOf('/', start);
  const parent = digitsBetween(text, start, slash);
  if (slash >= end || Number.isNaN(parent)) throw malformed(what, text);
  return { parent, name: text.slice(slash + 1, end) };
}

export function formatBorn({ type, parent, name, btime, mode, uid, gid, rdev }: Born): string {
  return `${type} ${parent}/${name} ${formatTimestamp(btime)} ${mode} ${uid} ${gid} ${rdev}`;
}

export function parseBorn(value: Value): Born {
  if (typeof value !== 'string') throw malformed('born', value);
  const type = value.charAt(0);
  // From the end: the name may hold spaces itself.
  const rdevAt = value.lastIndexOf(' ');
  const gidAt = value.lastIndexOf(' ', rdevAt - 1);
  const uidAt = value.lastIndexOf(' ', gidAt - 1);
  const modeAt = value.lastIndexOf(' ', uidAt - 1);
  const timeAt = value.lastIndexOf(' ', modeAt - 1);
  if (!(type in TYPE_BITS) || value.charAt(1) !== ' ' || timeAt < 2) throw malformed('born', value);
  const { parent, name } = parsePlace(value, 2, timeAt, 'born');
  const mode = digitsBetween(value, modeAt + 1, uidAt);
  const uid = digitsBetween(value, uidAt + 1, gidAt);
  const gid = digitsBetween(value, gidAt + 1, rdevAt);
  const rdev = digitsBetween(value, rdevAt + 1, value.length);
  if (Number.isNaN(mode + uid + gid + rdev)) throw malformed('born', value);
  const btime = timestampBetween(value, timeAt + 1, modeAt, 'born');
  return { type: type as FileType, parent, name, btime, mode, uid, gid, rdev };
}

/** The value of a link at its place of birth. */
export function formatBirthPlace(parent: Ino, name: Name): string {
  return `${parent}/${name}`;
}

/** The value of a link that a rename (with `prev`) or a link(2) (without) put there. */
export function formatMovedPlace(parent: Ino, name: Name, prev?: Place): string {
  return prev ? `${parent}/${name}\0${prev.parent}/${prev.name}` : `${parent}/${name}\0`;
}

/** The value of a link removed from a place by someone who had seen these heads, each `counter@actor`. */
export function formatTombstone(parent: Ino, name: Name, cites: readonly string[]): string {
  return `-${parent}/${name}\0${cites.join(',')}`;
}

/** An op as tombstones cite it and changes spell those that they overwrite: Automerge's way. */
export function formatOp(counter: number, actor: ActorId): string {
  return `${counter}@${actor}`;
}

/** The op that {@link formatOp} spelled, which was checked where it came in. */
export function parseOp(text: string, actors: ActorTable): OpId {
  const at = text.indexOf('@');
  return { counter: Number(text.slice(0, at)), actor: actors.intern(text.slice(at + 1)) };
}

export function parseLink(value: Value): LinkValue {
  if (typeof value !== 'string') throw malformed('link', value);
  const nul = value.indexOf('\0');
  if (isTombstone(value)) {
    if (nul < 0) throw malformed('link', value);
    const { parent, name } = parsePlace(value, 1, nul, 'link');
    const cites = nul + 1 === value.length ? [] : value.slice(nul + 1).split(',');
    for (const cite of cites) if (!CITATION.test(cite)) throw malformed('link', value);
    return { kind: 'tombstone', parent, name, cites };
  }
  if (nul < 0) {
    const { parent, name } = parsePlace(value, 0, value.length, 'link');
    return { kind: 'place', parent, name, moved: false, prev: undefined };
  }
  const { parent, name } = parsePlace(value, 0, nul, 'link');
  const prev = nul + 1 === value.length ? undefined : parsePlace(value, nul + 1, value.length, 'link');
  return { kind: 'place', parent, name, moved: true, prev };
}

/** Whether a link value says that the link was removed. */
export function isTombstone(value: Value): boolean {
  return typeof value === 'string' && value.charCodeAt(0) === 0x2d; // '-'
}

/** Whether a link value says that the link was moved, or made for a file that was there before. */
export function isMoved(value: Value): boolean {
  return typeof value === 'string' && !isTombstone(value) && value.includes('\0');
}

export function linkField(link: LinkId): string {
  return `${LINK_PREFIX}${link}`;
}

/** The link id of a `link:<id>` field. */
export function linkOfField(field: string): LinkId {
  return field === 'link:0' ? 0 : parseInteger(field.slice(LINK_PREFIX.length), field);
}

export function xattrField(name: string): string {
  return XATTR_PREFIX + name;
}

export function formatXattr(value: string | undefined): string {
  return value === undefined ? '-' : `=${value}`;
}

/** The attribute's bytes, or undefined when the value says that it was removed. */
export function parseXattr(value: Value): string | undefined {
  if (value === '-') return undefined;
  if (typeof value !== 'string' || value.charAt(0) !== '=') throw malformed('x', value);
  return value.slice(1);
}

/** The permission bits that a chown or a write by someone unprivileged takes away. */
const SET_ID_BITS = 0o6000;

/** `base`: the 12 bits that the writer saw; `mode`: those it sets. Equal at creation. */
export function formatMode(base: number, mode: number): number {
  return base * 65536 + mode;
}

/**
 * The mode value of a chown or write that drops set-user-id and set-group-id: its base has both bits whether or not they were
 * set, so that they fall also to a chmod that sets them concurrently.
 */
export function formatModeWithoutSetId(mode: number): number {
  return formatMode(mode | SET_ID_BITS, mode & ~SET_ID_BITS);
}

export function formatHead({ manifest, size, mtime, copyIno, blocks, merged }: Head): string {
  let value = `${manifest} ${size} ${formatTimestamp(mtime)} ${copyIno}`;
  if (blocks !== undefined) value += ` ${blocks}`;
  return merged ? `${value} ${merged.join(',')}` : value;
}

export function parseHead(value: Value): Head {
  const parts = typeof value === 'string' ? value.split(' ') : [];
  if (parts.length < 4 || parts.length > 6 || !OBJECT_ID.test(parts[0]!)) throw malformed('head', value);
  const plain = {
    manifest: parts[0]!,
    size: parseInteger(parts[1]!, 'head'),
    mtime: parseTimestamp(parts[2]!, 'head'),
    copyIno: parseInteger(parts[3]!, 'head'),
  };
  if (parts.length === 4) return plain;
  const isSparse = parts.length === 6 || !parts[4]!.includes('@');
  const head = isSparse ? { ...plain, blocks: parseInteger(parts[4]!, 'head') } : plain;
  if (isSparse && parts.length === 5) return head;
  const merged = parts.at(-1)!.split(',');
  for (const op of merged) if (!CITATION.test(op)) throw malformed('head', value);
  return { ...head, merged };
}

/** st_blocks of a version without holes: whole blocks of 4 KiB, in units of 512 bytes. */
export function wholeBlocks(size: number): number {
  return Math.ceil(size / BLOCK_BYTES) * SECTORS_PER_BLOCK;
}

export function formatInto(canonical: Ino): string {
  return String(canonical);
}

export function parseInto(value: Value): Ino {
  if (typeof value !== 'string') throw malformed('into', value);
  return parseInteger(value, 'into');
}

/** What a head's value is a merge of; empty when somebody wrote it. Read on every removal: no more of it is looked at. */
export function mergedIn(value: Value): readonly string[] {
  const text = String(value);
  return text.includes('@') ? text.slice(text.lastIndexOf(' ') + 1).split(',') : [];
}

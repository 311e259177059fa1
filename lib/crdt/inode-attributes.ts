// inode-attributes.ts — what an inode's registers say together, conflicts resolved: its attributes, versions and extended attributes.
// Invariant: a function of the registers alone, by the rules of MERGE.md. It is read far more often than it changes, and so is kept with
// the inode until a register that it reads changes (InodeMemo).

import {
  type FileType,
  formatOp,
  type Head,
  mergedIn,
  parseBorn,
  parseHead,
  parseTimestamp,
  parseXattr,
  XATTR_PREFIX,
  xattrField,
} from './fields.js';
import type { ActorTable, OpId } from './ids.js';
import type { Entry, Inode, Timestamp } from './inode.js';

/** One of a file's concurrent content versions, with the entry that wrote it. */
export interface HeadVersion extends Head, OpId {
  readonly stamp: number;
}

/** What an inode's registers say about it, conflicts resolved. A number that nobody wrote yet is 0. */
export interface InodeAttributes {
  readonly type: FileType;
  /** The 12 permission bits. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** In the kernel's new_encode_dev form. */
  readonly rdev: number;
  /** Of a symlink; else ''. */
  readonly target: string;
  /** Every concurrent version, winner first; empty for a file that was never written. */
  readonly heads: readonly HeadVersion[];
  /** The winner: what the path shows. */
  readonly head: HeadVersion | undefined;
  /** Bytes of content; of a symlink, those of its target; 0 for the rest. */
  readonly size: number;
  readonly mtime: Timestamp;
  readonly btime: Timestamp;
}

/** Memoized readings of an inode's registers; Replica forgets each when a register that it reads changes. */
export class InodeMemo {
  attributes: InodeAttributes | undefined = undefined;
  /** placement.ts's reading of the link registers. */
  placement: unknown = undefined;
}

export function memoOf(inode: Inode): InodeMemo {
  return (inode.memo ??= new InodeMemo()) as InodeMemo;
}

/** The type an inode was born with; undefined before its `born` was seen. */
export function typeOf(inode: Inode): FileType | undefined {
  const born = inode.registers.get('born')?.[0];
  return born && ((born.value as string).charAt(0) as FileType);
}

export function isDirectory(inode: Inode): boolean {
  return typeOf(inode) === 'd';
}

function numberOf(inode: Inode, field: string): number | undefined {
  return inode.registers.get(field)?.[0]?.value as number | undefined;
}

/**
 * chmod ∥ chmod: bit by bit. A bit that some writers changed takes their value; where they (or their bases) differ the stricter
 * one: a permission, set-user-id or set-group-id bit falls, the sticky bit stays.
 */
export function mergeModes(values: readonly number[]): number {
  let merged = values[0] ?? 0;
  merged %= 65536;
  if (values.length < 2) return merged;
  const STICKY = 0o1000;
  let result = 0;
  for (let bit = 1; bit <= 0o4000; bit <<= 1) {
    let set = false;
    let cleared = false;
    let changedToSet = false;
    let changedToCleared = false;
    for (const value of values) {
      const after = (value % 65536) & bit;
      const before = Math.floor(value / 65536) & bit;
      if (after) set = true;
      else cleared = true;
      if (after && !before) changedToSet = true;
      if (!after && before) changedToCleared = true;
    }
    const undecided = changedToSet === changedToCleared;
    if (set && (!cleared || (undecided ? bit === STICKY : changedToSet))) result |= bit;
  }
  return result;
}

/** Field by field: spreading takes several times as long, and this is done for each inode that is looked at. */
function headVersion({ value, counter, actor, stamp }: Entry): HeadVersion {
  const { manifest, size, mtime, copyIno, blocks, merged } = parseHead(value);
  return { manifest, size, mtime, copyIno, blocks, merged, counter, actor, stamp };
}

const EPOCH: Timestamp = { s: 0, ns: 0 };

function readAttributes(inode: Inode): InodeAttributes {
  const registers = inode.registers;
  const bornEntry = registers.get('born')?.[0];
  const born = bornEntry && parseBorn(bornEntry.value);
  const type = born?.type ?? 'f';
  const heads = type === 'f' ? (registers.get('head') ?? []).map(headVersion) : [];
  const head = heads[0];
  const modes = registers.get('mode');
  const times = registers.get('times')?.[0];
  const btime = born?.btime ?? EPOCH;
  const target = type === 'l' ? ((registers.get('target')?.[0]?.value as string | undefined) ?? '') : '';
  // The later of the two. Stamps of one site differ; two sites in the same microsecond: the head.
  const timesWin =
    times &&
    (!head ||
      times.stamp > head.stamp ||
      (times.actor === head.actor && times.stamp === head.stamp && times.counter > head.counter));
  return {
    type,
    mode: modes ? mergeModes(modes.map((entry) => entry.value as number)) : (born?.mode ?? 0),
    uid: numberOf(inode, 'uid') ?? born?.uid ?? 0,
    gid: numberOf(inode, 'gid') ?? born?.gid ?? 0,
    rdev: born?.rdev ?? 0,
    target,
    heads,
    head,
    size: type === 'l' ? target.length : (head?.size ?? 0),
    mtime: timesWin ? parseTimestamp(times.value, 'times') : (head?.mtime ?? btime),
    btime,
  };
}

/** What the registers say, memoized. An inode of which only other registers came yet reads as an empty file. */
export function attributesOf(inode: Inode): InodeAttributes {
  const memo = memoOf(inode);
  return (memo.attributes ??= readAttributes(inode));
}

/** An extended attribute's bytes. Of concurrent writes the latest that sets it: set beats remove. */
export function xattrOf(inode: Inode, name: string): string | undefined {
  for (const entry of inode.registers.get(xattrField(name)) ?? []) {
    const value = parseXattr(entry.value);
    if (value !== undefined) return value;
  }
  return undefined;
}

/** The names of the attributes that are set, sorted. */
export function xattrNames(inode: Inode): string[] {
  const names: string[] = [];
  for (const field of inode.otherFields()) {
    if (!field.startsWith(XATTR_PREFIX)) continue;
    const name = field.slice(XATTR_PREFIX.length);
    if (xattrOf(inode, name) !== undefined) names.push(name);
  }
  return names.toSorted();
}

/** The heads of a file as tombstones cite them: with a merge go the versions that it is made of. */
export function citedHeads(inode: Inode, actors: ActorTable): string[] {
  const cites = new Set<string>();
  for (const { counter, actor, value } of inode.registers.get('head') ?? []) {
    cites.add(formatOp(counter, actors.id(actor)));
    for (const op of mergedIn(value)) cites.add(op);
  }
  return [...cites];
}

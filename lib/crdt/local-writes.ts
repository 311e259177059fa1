// local-writes.ts — the register writes of local operations, and what an operation on something in conflict settles with them.

import type { Value } from './change.js';
import type { FileType } from './fields.js';
import type { ActorTable, Ino, LinkId, Name, OpId } from './ids.js';
import type { Inode, Timestamp } from './inode.js';
import type { TreeStore } from './tree-store.js';

/** A register write to which the volume gives an op id, a stamp and, unless `bases` says which, all current entries as pred. */
export interface WriteDraft {
  readonly ino: Ino;
  readonly field: string;
  readonly value: Value;
  readonly bases?: readonly OpId[];
}

/** The tree as it stands: apply the drafts of one call before the next call, all within one commit. */
export interface LocalTree {
  readonly store: TreeStore;
  readonly actors: ActorTable;
}

export interface Creation {
  readonly ino: Ino;
  readonly type: FileType;
  readonly parent: Ino;
  /** Undefined for O_TMPFILE. */
  readonly name: Name | undefined;
  readonly btime: Timestamp;
  /** 12 bits. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Of devices, new_encode_dev form. */
  readonly rdev?: number;
  /** Of symlinks. */
  readonly target?: string;
  /** Inherited attributes (ACLs): name → value. */
  readonly xattrs?: ReadonlyMap<string, string>;
}

/** A new inode; its link comes last. Does not write the parent's `times`. */
export declare function createWrites(creation: Creation): WriteDraft[];
/** link(2), linkat(2) of an O_TMPFILE: a further link (link id: 0 for an O_TMPFILE's first, else a fresh inode number). */
export declare function placeLink(tree: LocalTree, inode: Inode, link: LinkId, parent: Ino, name: Name): WriteDraft[];
/** unlink(2), rmdir(2), the victim of a rename. Copies and losers shown beside it keep their shown names as ordinary files (`reserve` gives fresh inode numbers). */
export declare function removeLink(tree: LocalTree, inode: Inode, link: LinkId, reserve: () => Ino): WriteDraft[];
/** rename(2) of a link; the victim, if any, is removed before. */
export declare function moveLink(
  tree: LocalTree,
  inode: Inode,
  link: LinkId,
  parent: Ino,
  name: Name,
  reserve: () => Ino,
): WriteDraft[];
/** Before a write to a file (content or attributes): removes the equal files that are hidden behind it. */
export declare function settleBeforeWrite(tree: LocalTree, ino: Ino): WriteDraft[];
/** Before a namespace operation inside a directory, or on a revived file: places it and its revived ancestors for good. */
export declare function settleRevived(tree: LocalTree, ino: Ino): WriteDraft[];
/** Makes the merge of directories into this one permanent. moveLink and removeLink do it themselves. */
export declare function settleAlias(tree: LocalTree, canonical: Ino): WriteDraft[];
/** Before a conflict copy is edited, renamed, linked or changed: makes it an ordinary file with the same inode number. */
export declare function settleCopy(tree: LocalTree, copyIno: Ino, reserve: () => Ino): WriteDraft[];
/** unlink(2) of a conflict copy: drops that version. */
export declare function removeCopy(tree: LocalTree, copyIno: Ino): WriteDraft[];
/** What a new version of a file overwrites: the head that it shows, not those shown as copies. */
export declare function shownHeads(inode: Inode): OpId[];

// tree-store.ts — where a replica keeps its registers and the tree derived from them.
// The journal implements it on SQLite, memory-tree-store.ts on maps. Replica is the only writer. All calls are synchronous
// and see what was written before, whether or not it is durable yet.

import type { Ino, LinkId, Name } from './ids.js';
import type { Inode } from './inode.js';

/** An entry of the visible tree. */
export interface Dirent {
  readonly parent: Ino;
  readonly name: Name;
  readonly ino: Ino;
  readonly link: LinkId;
  /** The d_type of readdir: S_IFMT bits >> 12. */
  readonly type: number;
}

/** A dirent with its place in readdir order. */
export interface ListedDirent extends Dirent {
  /** Position in its directory, > 0, stable while the entry lives, whatever comes and goes around it. */
  readonly cookie: number;
}

/** One claimant of a name in conflict: a link, or a conflict copy of a file that claims it (`store.copy(ino)`, link 0). */
export interface Claim {
  readonly ino: Ino;
  readonly link: LinkId;
  /** The name it is shown under in the same directory; null when it is hidden behind an equal one, or by its own other link. */
  readonly shown: Name | null;
}

/** A conflict copy: a losing content version shown as a file of its own. */
export interface CopyOf {
  readonly source: Ino;
  /** The head entry it shows. */
  readonly counter: number;
  readonly actor: number;
}

/** Where registers are read. */
export type RegisterStore = Pick<TreeStore, 'inode'>;

export interface TreeStore {
  /** The inode with this number, alive or not; undefined when no register of it was ever seen. The same object until evicted: do not keep it across calls of Replica. */
  inode(ino: Ino): Inode | undefined;
  insert(inode: Inode): void;
  /** Tells the store that this inode was changed. */
  touch(inode: Inode): void;

  lookup(parent: Ino, name: Name): Dirent | undefined;
  setDirent(dirent: Dirent): void;
  deleteDirent(parent: Ino, name: Name): void;
  /** Up to `limit` entries with cookie > `after`, in cookie order. */
  list(parent: Ino, after: number, limit: number): ListedDirent[];
  hasEntries(parent: Ino): boolean;

  // What follows is small: it holds only what is in conflict. Stores keep it in memory and persist it.

  /**
   * All claimants of (parent, base), best first, then copies, when the name is in conflict: when there are two or more, or one whose
   * link was revived or was written by several at once; else [].
   */
  claims(parent: Ino, base: Name): readonly Claim[];
  /** An empty list forgets the slot. */
  setClaims(parent: Ino, base: Name, claims: readonly Claim[]): void;
  /** The contested names of a directory. */
  contestedNames(parent: Ino): readonly Name[];
  /** Whether any name is contested. */
  readonly hasContests: boolean;
  /** All directories with contested names. */
  contestedDirectories(): readonly Ino[];

  /** The directory that this one is merged into. */
  alias(ino: Ino): Ino | undefined;
  setAlias(ino: Ino, canonical: Ino | undefined): void;
  aliasesOf(canonical: Ino): readonly Ino[];

  /** Directories whose winning placement is deferred, with the index of the candidate that holds instead. */
  deferred(): ReadonlyMap<Ino, number>;
  /** 0: it is deferred no more. */
  setDeferred(ino: Ino, candidate: number): void;

  copy(ino: Ino): CopyOf | undefined;
  setCopy(ino: Ino, copy: CopyOf | undefined): void;
  copies(): ReadonlyMap<Ino, CopyOf>;
  copiesOf(source: Ino): readonly Ino[];

  /** Inodes of which several sites wrote a permission, an owner or an extended attribute at once (attribute-conflicts.ts). */
  attributeContests(): ReadonlySet<Ino>;
  setAttributeContest(ino: Ino, isContested: boolean): void;

  /** Every inode number with registers, ascending. For checks and the from-scratch projection only. */
  inodes(): Iterable<Ino>;
}

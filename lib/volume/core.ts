// core.ts — what the parts of a volume share: the tree, the commits, the drafts, and how changes reach the kernel's caches.
// Invariant: after `perform` the tree, the registers and the intent log agree, and the kernel was told of every change of the
// view that it does not bring about itself while it handles the caller's request.

import { posixError } from '../errno.js';
import { compareTimes, nextNanosecond } from '../crdt/fields.js';
import type { ActorTable, Ino, Name } from '../crdt/ids.js';
import type { Inode, Timestamp } from '../crdt/inode.js';
import type { LocalTree } from '../crdt/local-writes.js';
import type { ViewChange } from '../crdt/view-change.js';
import type { Dirent } from '../crdt/tree-store.js';
import type { Journal } from '../journal/journal.js';
import type { SqliteTreeStore } from '../journal/sqlite-tree-store.js';
import type { ObjectStore } from '../chunks/object-store.js';
import { type Commits, type DraftFate, NO_DRAFT, type Step } from './commits.js';
import type { Drafts } from './drafts.js';
import { DroppedContents } from './dropped-contents.js';
import type { OpenFiles } from './open-files.js';
import type { KernelCache, VolumeClock } from './ports.js';
import type { SpaceGuard } from './space-guard.js';

export const NAME_MAX = 255;

/** The entries and inodes whose change the kernel knows of because it asked for it. */
export interface Asked {
  readonly entries: readonly (readonly [Ino, Name])[];
  readonly inodes: readonly Ino[];
}

export class Core {
  readonly store: SqliteTreeStore;
  readonly actors: ActorTable;
  readonly tree: LocalTree;
  readonly dropped = new DroppedContents();
  /** Somebody calls {@link settle} after each reply. */
  repliesFirst = false;
  /** Somebody says when the kernel refers to an inode no more. */
  awaitsForget = false;
  /** The kernel knows of nothing that is done now: it did not ask for it. */
  private isUnasked = false;

  constructor(
    readonly journal: Journal,
    readonly objects: ObjectStore,
    readonly commits: Commits,
    readonly drafts: Drafts,
    readonly openFiles: OpenFiles,
    readonly clock: VolumeClock,
    readonly kernel: KernelCache,
    readonly space: SpaceGuard,
    /** Draws a number that no inode or link of this volume has or had. */
    readonly allocate: () => number,
  ) {
    this.store = journal.store;
    this.actors = journal.actors;
    const isWritten = (ino: Ino): boolean => drafts.get(ino)?.dirty ?? false;
    const mayBeWritten = (ino: Ino): boolean => isWritten(ino) || openFiles.isOpenForWriting(ino);
    this.tree = { store: this.store, actors: this.actors, isWritten, mayBeWritten };
  }

  /** @throws PosixError ESTALE when no register of it was ever seen here */
  inode(ino: Ino): Inode {
    const inode = this.store.inode(ino);
    if (!inode) throw posixError('ESTALE');
    return inode;
  }

  /** The directory that a number stands for: itself, or the one it was merged into. */
  directory(ino: Ino): Ino {
    return this.store.alias(ino) ?? ino;
  }

  /** @throws PosixError ENOENT */
  entry(parent: Ino, name: Name): Dirent {
    const dirent = this.store.lookup(parent, name);
    if (!dirent) throw posixError('ENOENT');
    return dirent;
  }

  /** @throws PosixError ENAMETOOLONG */
  checkName(name: Name): void {
    if (name.length > NAME_MAX) throw posixError('ENAMETOOLONG');
  }

  /**
   * Carries out one operation of a local caller, atomically.
   * @param touched directories whose entries change: their mtime and ctime become `now` (ctime: see {@link setCtime})
   * @param changed inodes whose ctime becomes `now`
   */
  perform(
    steps: readonly Step[],
    now: Timestamp,
    touched: readonly Ino[],
    changed: readonly Ino[],
    asked: Asked,
    draft = NO_DRAFT,
  ): void {
    this.carryOut(steps, now, touched, changed, asked, draft, undefined, false);
  }

  /**
   * Like {@link perform}, for an operation whose answer does not depend on what it does to the tree: where replies come first, the
   * tree shows it only after {@link settle}.
   * @param then called when the tree shows it
   */
  performSoon(
    steps: readonly Step[],
    now: Timestamp,
    touched: readonly Ino[],
    changed: readonly Ino[],
    asked: Asked,
    then?: () => void,
  ): void {
    this.carryOut(steps, now, touched, changed, asked, NO_DRAFT, then, this.repliesFirst);
  }

  /** Calls on behalf of nobody at the mount: whatever they change is told to the kernel. */
  unasked<T>(call: () => T): T {
    this.settle();
    this.isUnasked = true;
    try {
      return call();
    } finally {
      this.settle();
      this.isUnasked = false;
    }
  }

  /** Completes what {@link performSoon} left. */
  settle(): void {
    this.commits.settle();
  }

  private carryOut(
    steps: readonly Step[],
    now: Timestamp,
    touched: readonly Ino[],
    changed: readonly Ino[],
    asked: Asked,
    draft: DraftFate,
    then: (() => void) | undefined,
    mayWait: boolean,
  ): void {
    const applied = (changes: readonly ViewChange[]): void => {
      for (const ino of touched) this.setCtime(ino, now);
      for (const ino of changed) this.setCtime(ino, now);
      then?.();
      for (const change of changes) {
        if (this.isUnasked) this.tell(change);
        else this.tellUnasked(change, asked);
      }
      if (!this.isUnasked) return;
      for (const ino of [...touched, ...changed]) this.kernel.invalidateInode(ino, false);
    };
    // Where a row of these cannot be read, the call has no effect.
    for (const ino of touched) this.store.inode(ino);
    for (const ino of changed) this.store.inode(ino);
    this.commits.write(steps, now, touched, draft, applied, mayWait);
  }

  /**
   * A local change of an inode. Its ctime never goes back, for programs that compare it would miss the change: where the last one came
   * from a site whose clock is ahead of this one's, it goes on from there.
   */
  setCtime(ino: Ino, now: Timestamp): void {
    const inode = this.store.inode(ino);
    if (!inode) return; // a conflict copy has none of its own
    inode.ctime = compareTimes(now, inode.ctime) >= 0 ? now : nextNanosecond(inode.ctime);
    this.store.touch(inode);
  }

  private tellUnasked(change: ViewChange, asked: Asked): void {
    if (change.kind === 'inode') {
      if (!asked.inodes.includes(change.ino)) this.tell(change);
      return;
    }
    // The kernel put what it asked for into its cache; anything else under that name is news to it, e.g. a conflict copy that
    // takes the place of what was removed.
    const own = asked.entries.some(([parent, name]) => parent === change.parent && name === change.name);
    if (!own || (change.is !== undefined && !asked.inodes.includes(change.is))) this.tell(change);
  }

  /** A removal notice makes the kernel take the inode for dead: only what has no other name may get one. */
  private isGone(ino: Ino): boolean {
    return this.store.inode(ino)?.nlink === 0;
  }

  /** Tells the kernel of a change that it did not ask for. */
  tell(change: ViewChange): void {
    if (change.kind === 'inode') {
      // The pages belong to the version that the open handles show: they go when the last of these handles does.
      this.kernel.invalidateInode(change.ino, change.content && !this.openFiles.isOpen(change.ino));
    } else if (change.is === undefined && change.was !== undefined && this.isGone(change.was)) {
      this.kernel.entryDeleted(change.parent, change.name, change.was);
    } else {
      this.kernel.invalidateEntry(change.parent, change.name);
    }
  }
}

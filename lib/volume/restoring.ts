// restoring.ts — brings back what the history still has: old versions of files, and names that were removed.
// Invariant: ordinary local operations, which merge like any other: a version is written that has the bytes of an old one (its manifest:
// nothing is copied or sent again), a link gets its place again (mode, owners, attributes and content never left the inode). What
// is there now stays: a version in the history, a name under its own, with what comes back beside it.

import type { Ino, LinkId, Name, ObjectId } from '../crdt/ids.js';
import { formatHead, formatTimestamp, isTombstone, linkField } from '../crdt/fields.js';
import { attributesOf, isDirectory } from '../crdt/inode-attributes.js';
import { xattrNames, xattrOf } from '../crdt/inode-attributes.js';
import type { Timestamp } from '../crdt/inode.js';
import { createWrites, placeLink, settleBeforeWrite, settleRevived, shownHeads } from '../crdt/local-writes.js';
import { ObjectKind } from '../chunks/object-kind.js';
import type { Core } from './core.js';
import { NAME_MAX } from './core.js';

/** The content of a version. */
export interface OldVersion {
  readonly manifest: ObjectId;
  readonly size: number;
  readonly mtime: Timestamp;
  /** st_blocks, if it has holes. */
  readonly blocks?: number | undefined;
}

/** A link that lost its place, and where it was. */
export interface LostPlace {
  readonly ino: Ino;
  readonly link: LinkId;
  readonly parent: Ino;
  readonly name: Name;
}

const SUFFIX = '.undeleted';

export class Restoring {
  constructor(
    private readonly core: Core,
    /** Told of a file that shows another version now. */
    private readonly replaced: (ino: Ino) => void,
  ) {}

  /**
   * Makes a file show the content of an old version.
   * @throws Error with the remedy
   */
  restore(ino: Ino, version: OldVersion): void {
    const inode = this.core.inode(ino);
    const { type, head } = attributesOf(inode);
    if (type !== 'f') throw new Error('it is no file now: restore the version elsewhere with --to PATH');
    if (this.core.drafts.get(ino)?.dirty) throw new Error('it is being written here: try again when it is closed');
    if (head?.manifest === version.manifest && this.sameTime(ino, version.mtime)) return;
    this.core.space.check();
    this.want(version);
    const { tree } = this.core;
    const write = () => [{ ino, field: 'head', value: this.headOf(version), bases: shownHeads(this.core.inode(ino)) }];
    // The kernel asked for nothing of this: it is told of everything.
    this.core.perform([() => settleBeforeWrite(tree, ino), write], this.core.clock.now(), [], [ino], NOT_ASKED);
    this.replaced(ino);
  }

  /**
   * A new file with the content of an old version, and the mode, owner and attributes of the file that it is of.
   * @throws Error with the remedy
   */
  restoreTo(source: Ino, version: OldVersion, path: readonly Name[]): void {
    const name = path.at(-1) ?? '';
    this.core.checkName(name);
    const parent = this.directoryAt(path.slice(0, -1));
    if (name === '' || this.core.store.lookup(parent, name))
      throw new Error('there is something of that name: remove it, or choose another');
    this.core.space.check();
    this.want(version);
    const ino = this.core.allocate();
    const btime = this.core.clock.now();
    const inode = this.core.inode(source);
    const { mode, uid, gid } = attributesOf(inode);
    const xattrs = new Map(xattrNames(inode).map((key) => [key, xattrOf(inode, key)!]));
    const birth = createWrites({ ino, type: 'f', parent, name, btime, mode, uid, gid, xattrs });
    const head = { ino, field: 'head', value: this.headOf(version) };
    const writes = [...birth.slice(0, -1), head, birth.at(-1)!]; // its name last: it is shown complete
    const { tree } = this.core;
    this.core.perform([() => settleRevived(tree, parent), writes], btime, [parent], [ino], NOT_ASKED);
  }

  /**
   * Gives links their places back, each as an operation of its own.
   * @param touch whether the directories that they come back to were changed now
   * @returns the name that each got; null for one that has a place already
   */
  placeAgain(lost: readonly LostPlace[], touch: boolean): (Name | null)[] {
    return lost.map(({ ino, link, parent, name }) => {
      const inode = this.core.inode(ino);
      const entries = inode.registers.get(linkField(link)) ?? [];
      if (entries.some(({ value }) => !isTombstone(value))) return null;
      const directory = this.core.directory(parent);
      const free = this.freeName(directory, name);
      const { tree } = this.core;
      const place = () => placeLink(tree, this.core.inode(ino), link, directory, free, this.core.allocate);
      const touched = touch ? [directory] : [];
      this.core.perform(
        [() => settleRevived(tree, directory), place],
        this.core.clock.now(),
        touched,
        [ino],
        NOT_ASKED,
      );
      return free;
    });
  }

  /** Gives directories that came back the modification times that they had. */
  setTimes(times: readonly (readonly [Ino, Timestamp])[]): void {
    for (const [ino, mtime] of times) {
      const writes = [{ ino, field: 'times', value: formatTimestamp(mtime) }];
      this.core.perform([writes], this.core.clock.now(), [], [ino], NOT_ASKED);
    }
  }

  private headOf({ manifest, size, mtime, blocks }: OldVersion): string {
    return formatHead({ manifest, size, mtime, copyIno: this.core.allocate(), blocks });
  }

  private sameTime(ino: Ino, { s, ns }: Timestamp): boolean {
    const { mtime } = attributesOf(this.core.inode(ino));
    return mtime.s === s && mtime.ns === ns;
  }

  /** It may have been given up here; whoever has it sends it. */
  private want({ manifest, size }: OldVersion): void {
    this.core.objects.name(manifest, ObjectKind.manifest, size);
  }

  private directoryAt(names: readonly Name[]): Ino {
    let at: Ino = 1;
    for (const name of names) {
      const dirent = this.core.store.lookup(at, name);
      const inode = dirent && this.core.store.inode(dirent.ino);
      if (!inode || !isDirectory(inode))
        throw new Error('its directory does not exist: make it first, or choose another');
      at = dirent.ino;
    }
    return at;
  }

  private freeName(directory: Ino, name: Name): Name {
    let free = name;
    for (let n = 1; this.core.store.lookup(directory, free); n++) {
      const suffix = n === 1 ? SUFFIX : `${SUFFIX}-${n}`;
      free = name.slice(0, NAME_MAX - suffix.length) + suffix;
    }
    return free;
  }
}

const NOT_ASKED = { entries: [], inodes: [] };

// removed-trees.ts — what was removed at a path, and where it was: what `weft undelete` brings back.
// Invariant: it names links that have no place now, each with the last one it had, directories before what is in them. Files keep their
// registers when they are removed, so a place is all that they lack. Removals that follow each other closely are one: `rm -r`
// removes what is in a tree one by one.

import { isTombstone, LINK_PREFIX, linkOfField, parseLink } from '../crdt/fields.js';
import { attributesOf, isDirectory } from '../crdt/inode-attributes.js';
import type { Place } from '../crdt/fields.js';
import type { Ino, LinkId, Name } from '../crdt/ids.js';
import { ROOT_INO } from '../crdt/ids.js';
import type { Inode, Timestamp } from '../crdt/inode.js';
import { isDirectoryEntry, PastTree } from '../crdt/past-tree.js';
import type { PastEntry } from '../crdt/past-tree.js';
import type { TreeStore } from '../crdt/tree-store.js';
import type { HistoryIndex } from './history-index.js';
import { JournalPast } from './past-registers.js';
import type { PathHistory } from './path-history.js';

/** A longer pause ends a removal. */
const PAUSE_US = 10_000_000;

/** A link that is to get its place back. */
export interface LostLink extends Place {
  readonly ino: Ino;
  readonly link: LinkId;
}

export interface RemovedTree {
  /** Directories above it that were removed too, from the root down. */
  readonly above: readonly LostLink[];
  /** What is to come back: first what was asked for, unless that is there; directories before what is in them. */
  readonly links: readonly LostLink[];
  /** Modification times of directories that are to come back. */
  readonly times: readonly (readonly [Ino, Timestamp])[];
}

interface Removal extends LostLink {
  readonly stamp: number;
}

export class RemovedTrees {
  /** @param present the tree as it is now; the index is caught up with it */
  constructor(
    private readonly index: HistoryIndex,
    private readonly present: TreeStore,
    private readonly history: PathHistory,
  ) {}

  /** What was removed last under a path; undefined when nothing was. */
  latest(names: readonly Name[]): RemovedTree | undefined {
    const last = this.removalsAt(names).reduce<Removal | undefined>(
      (a, b) => (!a || b.stamp > a.stamp ? b : a),
      undefined,
    );
    return last && this.treeOf(last);
  }

  /** What was removed of one inode under a path, or anywhere. */
  ofInode(ino: Ino, names: readonly Name[]): RemovedTree | undefined {
    const inode = this.present.inode(ino);
    const anywhere = inode ? removalsOf(inode).toSorted((a, b) => b.stamp - a.stamp)[0] : undefined;
    const removal = this.removalsAt(names).find((other) => other.ino === ino) ?? anywhere;
    return removal && { above: this.lostAbove(removal.parent), links: [removal], times: [] };
  }

  /**
   * What is missing now of what was at a path at a moment.
   * @param stamp microseconds since 1970
   * @returns undefined when nothing was there then
   */
  since(names: readonly Name[], stamp: number): RemovedTree | undefined {
    const past = new JournalPast(this.index, this.index.vectorAt(stamp));
    const tree = new PastTree(past, this.index.actors);
    if (!tree.root) return undefined;
    let directory = tree.root;
    let entry: (PastEntry & { readonly parent: Ino }) | undefined;
    for (const [i, name] of names.entries()) {
      const found = tree.lookup(directory, name);
      if (!found) return undefined;
      entry = { ...found, parent: directory.ino };
      if (i === names.length - 1) break;
      if (!isDirectoryEntry(found)) return undefined;
      directory = found.directory;
    }
    const links: LostLink[] = [];
    const take = (at: PastEntry, parent: Ino): void => {
      if (!at.copy && this.isLost(at.ino, at.link)) links.push({ ino: at.ino, link: at.link, parent, name: at.name });
      if (isDirectoryEntry(at)) for (const child of tree.list(at.directory)) take(child, at.ino);
    };
    if (entry) take(entry, entry.parent);
    else for (const child of tree.list(directory)) take(child, directory.ino);
    const [first] = links;
    return { above: first ? this.lostAbove(first.parent) : [], links, times: this.timesOf(links, past) };
  }

  /** The removals that took a path's name from something that does not have it now. */
  private removalsAt(names: readonly Name[]): Removal[] {
    const name = names.at(-1);
    if (name === undefined) return [];
    const parents = this.history.directories(names.slice(0, -1));
    return parents.flatMap((parent) => this.removalsIn(parent, name));
  }

  private removalsIn(parent: Ino, name?: Name): Removal[] {
    const found: Removal[] = [];
    for (const ino of this.index.placedIn(parent, name)) {
      const inode = this.present.inode(ino);
      for (const removal of inode ? removalsOf(inode) : []) {
        if (removal.parent === parent && (name === undefined || removal.name === name)) found.push(removal);
      }
    }
    return found;
  }

  private treeOf(top: Removal): RemovedTree {
    const all = [top];
    if (this.isDirectory(top.ino)) this.collect(top.ino, all, new Set([top.ino]));
    // The last first: each belongs to it that came not long before the one after it.
    let since = top.stamp;
    for (const { stamp } of all.toSorted((a, b) => b.stamp - a.stamp)) {
      if (stamp < since - PAUSE_US) break;
      since = Math.min(since, stamp);
    }
    const kept = new Set([top.ino]);
    const byPlace = new Map<string, Removal>();
    for (const removal of all) {
      if (removal.stamp < since || (removal !== top && !kept.has(removal.parent))) continue;
      kept.add(removal.ino);
      const key = `${removal.parent}/${removal.name}`;
      const other = byPlace.get(key);
      if (!other || other.stamp < removal.stamp) byPlace.set(key, removal);
    }
    const links = [...byPlace.values()];
    const past = new JournalPast(this.index, this.index.vectorAt(since - 1));
    return { above: this.lostAbove(top.parent), links, times: this.timesOf(links, past) };
  }

  private collect(directory: Ino, all: Removal[], seen: Set<Ino>): void {
    for (const removal of this.removalsIn(directory)) {
      all.push(removal);
      if (!this.isDirectory(removal.ino) || seen.has(removal.ino)) continue;
      seen.add(removal.ino);
      this.collect(removal.ino, all, seen);
    }
  }

  /** The way up as far as it was removed. */
  private lostAbove(directory: Ino): LostLink[] {
    const above: LostLink[] = [];
    const seen = new Set<Ino>();
    for (let at = this.present.alias(directory) ?? directory; at !== ROOT_INO && !seen.has(at);) {
      seen.add(at);
      const inode = this.present.inode(at);
      if (!inode || inode.nlink > 0) break;
      const [removal] = removalsOf(inode);
      if (!removal) break;
      above.unshift(removal);
      at = this.present.alias(removal.parent) ?? removal.parent;
    }
    return above;
  }

  private isLost(ino: Ino, link: LinkId): boolean {
    const inode = this.present.inode(ino);
    return inode !== undefined && removalsOf(inode).some((removal) => removal.link === link);
  }

  private isDirectory(ino: Ino): boolean {
    const inode = this.present.inode(ino);
    return inode !== undefined && isDirectory(inode);
  }

  /** Removing what is in a directory changed its time. */
  private timesOf(links: readonly LostLink[], past: JournalPast): [Ino, Timestamp][] {
    const times: [Ino, Timestamp][] = [];
    for (const { ino } of links) {
      const then = this.isDirectory(ino) ? past.inode(ino) : undefined;
      if (then) times.push([ino, attributesOf(then).mtime]);
    }
    return times;
  }
}

/** The links of an inode that have no place, with the last one that they had. */
function removalsOf({ ino, registers }: Inode): Removal[] {
  const removals: Removal[] = [];
  for (const [field, entries] of registers) {
    if (!field.startsWith(LINK_PREFIX) || entries.some(({ value }) => !isTombstone(value))) continue;
    const [entry] = entries;
    const { parent, name } = parseLink(entry!.value);
    removals.push({ ino, link: linkOfField(field), parent, name, stamp: entry!.stamp });
  }
  return removals;
}

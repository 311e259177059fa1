// directory-tree.ts — directories as a replicated tree with concurrent moves.
// Invariant: with every directory at its current candidate place there is no cycle. While there is one, the directory on it whose
// current candidate was written last goes on to its next candidate; cycles are disjoint, so the order does not matter. A move
// that is deferred keeps its register and takes effect when what blocked it goes. MERGE.md "renames that would form a cycle".

import { isDirectory } from './inode-attributes.js';
import { ROOT_INO } from './ids.js';
import type { ActorTable, Ino } from './ids.js';
import type { Inode } from './inode.js';
import { candidateAt, directoryClaim, fileClaims } from './placement.js';
import type { Candidate, Claimant } from './placement.js';
import { compareEntries } from './register.js';
import type { TreeStore } from './tree-store.js';

/** A path longer than this is looked at by the way that stands cycles. */
const QUICK_DEPTH_MAX = 4096;
const NO_CLAIMS: readonly Claimant[] = [];

export class DirectoryTree {
  readonly #store: TreeStore;
  readonly #actors: ActorTable;

  constructor(store: TreeStore, actors: ActorTable) {
    this.#store = store;
    this.#actors = actors;
  }

  /** The candidate place that a directory holds; undefined for the root and for what is no directory. */
  edge(ino: Ino, cursor = this.#store.deferred().get(ino) ?? 0): Candidate | undefined {
    if (ino === ROOT_INO) return undefined;
    const inode = this.#store.inode(ino);
    if (!inode || !isDirectory(inode)) return undefined;
    return candidateAt(inode, cursor);
  }

  /** The directory that a directory is placed in, or merged into. */
  parent(inode: Inode): Ino | undefined {
    return isDirectory(inode) ? this.edge(inode.ino)?.parent : undefined;
  }

  /** The directory that its registers merge it into for good. */
  into(ino: Ino): Ino | undefined {
    const edge = this.edge(ino);
    return edge?.into ? edge.parent : undefined;
  }

  /** The directory whose entries those placed in `parent` are shown among. */
  home(parent: Ino): Ino {
    return this.#store.alias(parent) ?? parent;
  }

  /** The claim of a directory, alive or not; undefined when it is merged for good, or the root. */
  claim(inode: Inode): Claimant | undefined {
    if (inode.ino === ROOT_INO) return undefined;
    return directoryClaim(inode, this.#store.deferred().get(inode.ino) ?? 0);
  }

  /** What this inode claims in the tree as the store has it, provided that its registers are still those of the store's tree. */
  claims(inode: Inode): readonly Claimant[] {
    if (!inode.registers.has('born')) return NO_CLAIMS;
    if (!isDirectory(inode)) return fileClaims(inode, this.#actors);
    const claim = this.claim(inode);
    return claim && (!claim.revived || inode.nlink > 0) ? [claim] : NO_CLAIMS;
  }

  /** Whether the way up from `start` meets `ino` or is too long to tell quickly. */
  mayDescendFrom(start: Ino, ino: Ino): boolean {
    let at: Ino | undefined = start;
    for (let depth = 0; depth < QUICK_DEPTH_MAX; depth++) {
      if (at === ino) return true;
      at = this.edge(at)?.parent;
      if (at === undefined) return false;
    }
    return true;
  }

  /**
   * Chooses candidates anew after the links of these directories changed.
   * @returns the new cursors of directories that now hold another candidate than the store says
   */
  breakCycles(changed: Iterable<Ino>): Map<Ino, number> {
    const before = this.#store.deferred();
    // All others hold their first candidate already, and every cycle of first candidates passes through one of these.
    const cursors = new Map<Ino, number>();
    for (const ino of before.keys()) cursors.set(ino, 0);
    for (const ino of changed) cursors.set(ino, 0);
    const toWalk = [...cursors.keys()];
    for (let start = toWalk.pop(); start !== undefined; start = toWalk.pop()) {
      const cycle = this.#cycleAbove(start, cursors);
      if (cycle.length === 0) continue;
      const latest = cycle.reduce((a, b) => (this.#isLater(b, a, cursors) ? b : a));
      cursors.set(latest, (cursors.get(latest) ?? 0) + 1);
      toWalk.push(start, latest);
    }
    for (const [ino, cursor] of cursors) if ((before.get(ino) ?? 0) === cursor) cursors.delete(ino);
    return cursors;
  }

  /**
   * What placing these directories now, later than all other writes, would do to the moves that are deferred.
   * @param moves directory → the directory that it is about to be placed in
   * @returns 'none': they stay deferred; 'some': a deferred move would take effect; 'refused': one would, and these in turn would not
   */
  effectOnDeferred(moves: ReadonlyMap<Ino, Ino>): 'none' | 'some' | 'refused' {
    const deferred = this.#store.deferred();
    if (deferred.size === 0) return 'none';
    const cursors = new Map<Ino, number>([...deferred.keys()].map((ino) => [ino, 0]));
    const toWalk = [...deferred.keys(), ...moves.keys()];
    for (let start = toWalk.pop(); start !== undefined; start = toWalk.pop()) {
      const cycle = this.#cycleAbove(start, cursors, moves);
      if (cycle.length === 0) continue;
      if (cycle.some((ino) => moves.has(ino))) return 'refused';
      const latest = cycle.reduce((a, b) => (this.#isLater(b, a, cursors) ? b : a));
      cursors.set(latest, (cursors.get(latest) ?? 0) + 1);
      toWalk.push(start, latest);
    }
    for (const [ino, cursor] of cursors) if (!moves.has(ino) && (deferred.get(ino) ?? 0) !== cursor) return 'some';
    return 'none';
  }

  #cycleAbove(start: Ino, cursors: ReadonlyMap<Ino, number>, moves?: ReadonlyMap<Ino, Ino>): Ino[] {
    const depths = new Map<Ino, number>();
    const path: Ino[] = [];
    const parentOf = (ino: Ino): Ino | undefined => moves?.get(ino) ?? this.edge(ino, cursors.get(ino) ?? 0)?.parent;
    for (let at: Ino | undefined = start; at !== undefined; at = parentOf(at)) {
      const depth = depths.get(at);
      if (depth !== undefined) return path.slice(depth);
      depths.set(at, path.length);
      path.push(at);
    }
    return [];
  }

  #isLater(a: Ino, b: Ino, cursors: ReadonlyMap<Ino, number>): boolean {
    const first = this.edge(a, cursors.get(a) ?? 0)!;
    const second = this.edge(b, cursors.get(b) ?? 0)!;
    if (first.lowest || second.lowest) return first.lowest === second.lowest ? a > b : second.lowest;
    return (compareEntries(first.entry, second.entry, this.#actors) || a - b) > 0;
  }
}

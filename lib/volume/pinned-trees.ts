// pinned-trees.ts — which files are pinned: an inode is when it, or a directory above it, was.
// Invariant: it is told from where the inode is now; of several names each counts.

import { ROOT_INO } from '../crdt/ids.js';
import type { ActorTable, Ino } from '../crdt/ids.js';
import type { TreeStore } from '../crdt/tree-store.js';
import { placesOf } from './shown-path.js';

export class PinnedTrees {
  private inos: ReadonlySet<Ino> = new Set();

  constructor(
    private readonly store: TreeStore,
    private readonly actors: ActorTable,
  ) {}

  /** Returns whether any is pinned no longer. */
  set(inos: Iterable<Ino>): boolean {
    const before = this.inos;
    this.inos = new Set(inos);
    return [...before].some((ino) => !this.inos.has(ino));
  }

  /** The pin that covers an inode; undefined when none does. */
  covering(ino: Ino): Ino | undefined {
    if (this.inos.size === 0) return undefined;
    const seen = new Set<Ino>();
    const waiting = [this.store.copy(ino)?.source ?? ino];
    for (let at = waiting.pop(); at !== undefined; at = waiting.pop()) {
      if (this.inos.has(at)) return at;
      if (seen.has(at)) continue;
      seen.add(at);
      for (const { parent } of placesOf(at, this.store, this.actors)) waiting.push(parent);
    }
    return undefined;
  }

  /** The inode at a path from the root of the volume; undefined when there is none. */
  resolve(path: string): Ino | undefined {
    let at: Ino = ROOT_INO;
    for (const name of path.split('/')) {
      if (name === '') continue;
      const dirent = this.store.lookup(this.store.alias(at) ?? at, name);
      if (!dirent) return undefined;
      at = dirent.ino;
    }
    return this.store.copy(at)?.source ?? at;
  }
}

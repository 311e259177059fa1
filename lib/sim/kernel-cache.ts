// kernel-cache.ts — what a kernel remembers of a volume: which name led where, until it is told that this changed.
// Invariant checked by it: a name that was looked up and not invalidated since leads where it did. It is what makes a mount show what
// other sites changed.

import type { Ino, Name } from '../crdt/ids.js';
import type { KernelCache } from '../volume/ports.js';
import type { Volume } from '../volume/volume.js';

export class KernelCacheModel implements KernelCache {
  /** Where a name led; undefined: nowhere. */
  private readonly entries = new Map<string, { parent: Ino; name: Name; ino: Ino | undefined }>();

  constructor(
    private readonly volume: Volume,
    private readonly noticed: () => void,
  ) {}

  /** A lookup of the kernel's, kept. */
  lookup(parent: Ino, name: Name): Ino | undefined {
    const key = `${parent}/${name}`;
    const cached = this.entries.get(key);
    if (cached) return cached.ino;
    const ino = this.volume.files.lookup(parent, name)?.ino;
    this.entries.set(key, { parent, name, ino });
    return ino;
  }

  /** The kernel knows of what a call that it made itself did to a name. */
  changed(parent: Ino, name: Name): void {
    this.entries.delete(`${parent}/${name}`);
  }

  invalidateEntry(parent: Ino, name: Name): void {
    this.noticed();
    this.changed(parent, name);
  }

  entryDeleted(parent: Ino, name: Name): void {
    this.invalidateEntry(parent, name);
  }

  invalidateInode(): void {
    this.noticed();
  }

  /** What the kernel believes and is not so. The volume is not asked: it would look at the local files of what is open. */
  stale(): string[] {
    const wrong: string[] = [];
    for (const { parent, name, ino } of this.entries.values()) {
      const { store } = this.volume.journal;
      // No path leads there any more: a directory that was removed, or merged into another.
      if (store.alias(parent) !== undefined || (store.inode(parent)?.nlink ?? 0) === 0) continue;
      const is = store.lookup(parent, name)?.ino;
      if (is !== ino) wrong.push(`${parent}/${name} leads to ${is}, the kernel was left believing ${ino}`);
    }
    return wrong;
  }
}

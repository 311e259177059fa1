// collection-guard.ts — what happens to objects while a collection is under way: one mark was made of all, and meanwhile callers go on.
// Invariant: an object that is cited after the collection began is not discarded by it, and no pack is retired that may hold a record
// which the collection did not see. Site thread only.

import type { ObjectId } from '../crdt/ids.js';

export class CollectionGuard {
  private readonly cited = new Set<ObjectId>();
  private readonly keptPacks = new Set<string>();

  /** Something is about to name this object, which the mark may have found unused. */
  cite(id: ObjectId): void {
    this.cited.add(id);
  }

  isCited(id: ObjectId): boolean {
    return this.cited.has(id);
  }

  /** The pack holds what stays: a record that came to the index since, or one that was cited again. */
  keepPack(name: string): void {
    this.keptPacks.add(name);
  }

  keepsPack(name: string): boolean {
    return this.keptPacks.has(name);
  }
}

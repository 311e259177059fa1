// merged-directories.ts — directories that were made under one name at several sites are one directory.
// Invariant: those that claim a name by birth are shown as the one with the lowest number; `into` registers make such a merge
// outlive later renames. What is placed in a merged directory claims its name in the canonical one, recursively. MERGE.md (4).

import type { AffectedInodes } from './affected.js';
import type { DirectoryTree } from './directory-tree.js';
import { isDirectory } from './inode-attributes.js';
import type { Ino } from './ids.js';
import type { Liveness } from './liveness.js';
import type { Slot, Slots } from './slots.js';
import type { TreeStore } from './tree-store.js';

export class MergedDirectories {
  readonly #store: TreeStore;
  readonly #tree: DirectoryTree;
  readonly #affected: AffectedInodes;
  readonly #slots: Slots;
  /** Where the claims of what is placed in a directory are now, for directories whose merge may have changed. */
  readonly #located = new Map<Ino, Ino>();
  readonly #toDecide = new Set<Slot>();

  constructor(store: TreeStore, tree: DirectoryTree, affected: AffectedInodes, slots: Slots) {
    this.#store = store;
    this.#tree = tree;
    this.#affected = affected;
    this.#slots = slots;
  }

  /** Brings the aliases up to date and puts every claim of the affected inodes, and all that move with a merge, into its slot. */
  settle(liveness: Liveness): void {
    const affected = this.#affected.list();
    for (const [, before] of affected) {
      for (const claim of before.claims) this.#slot(this.#tree.home(claim.parent), claim.name);
    }
    for (const [ino] of affected) this.#detach(ino);
    for (const [ino] of affected) {
      for (const claim of liveness.claims(this.#store.inode(ino)!)) {
        this.#slot(this.#canonical(claim.parent), claim.name).members.push(claim);
      }
    }
    do {
      for (const slot of this.#toDecide) this.#decide(slot);
      this.#toDecide.clear();
      this.#followMerges();
    } while (this.#moveClaims());
  }

  #slot(parent: Ino, base: string): Slot {
    const slot = this.#slots.get(parent, base);
    this.#toDecide.add(slot);
    return slot;
  }

  /** By the registers and the aliases as they stand; the store's alias of a directory merged for good may be behind. */
  #canonical(ino: Ino): Ino {
    let at = ino;
    for (let next: Ino | undefined = at; next !== undefined; next = this.#tree.into(at) ?? this.#store.alias(at))
      at = next;
    return at;
  }

  #setAlias(ino: Ino, canonical: Ino | undefined): boolean {
    const before = this.#store.alias(ino);
    if (!this.#located.has(ino)) this.#located.set(ino, before ?? ino);
    if (before === canonical) return false;
    this.#store.setAlias(ino, canonical);
    return true;
  }

  /** Takes an affected directory out of every merge by name, so that no alias leads to where it was. */
  #detach(ino: Ino): void {
    const inode = this.#store.inode(ino);
    if (!inode || !(isDirectory(inode) || this.#affected.retyped.has(ino))) return;
    for (const member of this.#store.aliasesOf(ino)) {
      if (this.#tree.into(member) === undefined) this.#setAlias(member, undefined);
    }
    this.#setAlias(ino, undefined);
  }

  #decide(slot: Slot): void {
    const births = slot.members.filter((member) => member.birth);
    const canonical = Math.min(...births.map((member) => member.ino));
    for (const member of slot.members) {
      if (!member.directory) continue;
      this.#setAlias(member.ino, member.birth && member.ino !== canonical ? canonical : undefined);
    }
  }

  /** Makes the aliases of what is merged for good lead to the end. */
  #followMerges(): void {
    let changed = true;
    while (changed) {
      changed = false;
      const ends = new Set<Ino>();
      for (const [ino, at] of this.#located) ends.add(ino).add(at);
      const members = new Set<Ino>(ends);
      for (const end of ends) for (const member of this.#store.aliasesOf(end)) members.add(member);
      for (const member of members) {
        const into = this.#tree.into(member);
        if (into !== undefined && this.#setAlias(member, this.#canonical(into))) changed = true;
      }
    }
  }

  /**
   * Moves claims out of directories that no longer show them: all of those that the store has in a directory whose merge changed, and
   * of the affected inodes those that came in while the merges were not settled.
   */
  #moveClaims(): boolean {
    if (this.#located.size === 0) return false;
    for (const [ino, at] of this.#located) {
      const canonical = this.#canonical(ino);
      if (canonical === at) continue;
      this.#slots.loadAll(at);
      this.#located.set(ino, canonical);
    }
    let moved = false;
    for (const directory of this.#slots.parents()) {
      for (const slot of this.#slots.loadedIn(directory)) {
        const stay = slot.members.filter((member) => this.#canonical(member.parent) === directory);
        if (stay.length === slot.members.length) continue;
        for (const member of slot.members) {
          const home = this.#canonical(member.parent);
          if (home !== directory) this.#slot(home, slot.base).members.push(member);
        }
        slot.members = stay;
        this.#toDecide.add(slot);
        moved = true;
      }
    }
    return moved;
  }
}

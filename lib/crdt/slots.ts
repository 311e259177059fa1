// slots.ts — the names that a batch touches, each with everyone who claims it.
// Invariant: a slot is loaded from the store's tree as it was before the batch, less the affected inodes; those enter with the claims
// that they have now. A slot that nobody loaded is as it was.

import type { AffectedInodes } from './affected.js';
import type { DirectoryTree } from './directory-tree.js';
import type { Ino, LinkId, Name } from './ids.js';
import { direntsOf } from './liveness.js';
import type { Claimant } from './placement.js';
import type { Claim, Dirent, TreeStore } from './tree-store.js';

export interface Slot {
  readonly parent: Ino;
  readonly base: Name;
  /** Everyone who claims the name now, merged directories included. */
  members: Claimant[];
  /** The store's claims before the batch. */
  readonly stored: readonly Claim[];
  /** What the store shows of it before the batch: under the name itself and under suffixed ones. */
  readonly shown: readonly Dirent[];
}

export class Slots {
  readonly #store: TreeStore;
  readonly #tree: DirectoryTree;
  readonly #affected: AffectedInodes;
  readonly #byParent = new Map<Ino, Map<Name, Slot>>();

  constructor(store: TreeStore, tree: DirectoryTree, affected: AffectedInodes) {
    this.#store = store;
    this.#tree = tree;
    this.#affected = affected;
  }

  /** Directories with loaded slots. */
  parents(): Ino[] {
    return [...this.#byParent.keys()];
  }

  loaded(parent: Ino, base: Name): Slot | undefined {
    return this.#byParent.get(parent)?.get(base);
  }

  loadedIn(parent: Ino): Slot[] {
    return [...(this.#byParent.get(parent)?.values() ?? [])];
  }

  get(parent: Ino, base: Name): Slot {
    let slots = this.#byParent.get(parent);
    if (!slots) this.#byParent.set(parent, (slots = new Map()));
    let slot = slots.get(base);
    if (!slot) slots.set(base, (slot = this.#load(parent, base)));
    return slot;
  }

  loadContested(parent: Ino): void {
    for (const base of this.#store.contestedNames(parent)) this.get(parent, base);
  }

  /** Loads every slot of a directory. */
  loadAll(parent: Ino): void {
    this.loadContested(parent);
    for (const dirent of direntsOf(this.#store, parent)) if (this.isGenuine(dirent)) this.get(parent, dirent.name);
  }

  /** Whether the store shows the dirent under the very name that its link claims, and not as a loser or a copy. */
  isGenuine(dirent: Dirent): boolean {
    return this.#claimBefore(dirent.ino, dirent.link)?.name === dirent.name;
  }

  #claimBefore(ino: Ino, link: LinkId): Claimant | undefined {
    if (this.#store.copy(ino)) return undefined;
    const before = this.#affected.before(ino)?.claims ?? this.#tree.claims(this.#store.inode(ino)!);
    return before.find((claim) => claim.link === link);
  }

  #load(parent: Ino, base: Name): Slot {
    const stored = this.#store.claims(parent, base);
    const dirents: Dirent[] = [];
    const members: Claimant[] = [];
    for (const { ino, link, shown } of stored) {
      if (shown !== null) dirents.push(this.#store.lookup(parent, shown)!);
      this.#addMembers(members, ino, link, base);
    }
    if (stored.length === 0) {
      const dirent = this.#store.lookup(parent, base);
      if (dirent && this.isGenuine(dirent)) {
        dirents.push(dirent);
        this.#addMembers(members, dirent.ino, dirent.link, base);
      }
    }
    return { parent, base, members, stored, shown: dirents };
  }

  /** Adds a claimant and the directories merged into it under this name, unless this batch works out their claims anew. */
  #addMembers(members: Claimant[], ino: Ino, link: LinkId, base: Name): void {
    const claim = this.#claimBefore(ino, link);
    if (!claim) return;
    if (!this.#affected.has(ino)) members.push(claim);
    if (!claim.directory) return;
    for (const alias of this.#store.aliasesOf(ino)) {
      if (this.#affected.has(alias)) continue;
      const own = this.#claimBefore(alias, link);
      if (own?.birth && own.name === base) members.push(own);
    }
  }
}

// liveness.ts — which removed directories are alive: those that hold something alive, to a fixpoint upwards.
// Invariant: a directory is alive when its link has a place and it is not merged for good, or when something alive is placed in it
// or is merged into it. Only the path to what lives returns, not its removed siblings. MERGE.md (3).

import type { AffectedInodes } from './affected.js';
import type { DirectoryTree } from './directory-tree.js';
import { isDirectory } from './inode-attributes.js';
import { ROOT_INO } from './ids.js';
import type { ActorTable, Ino, LinkId } from './ids.js';
import type { Inode } from './inode.js';
import { directoryPlacement, fileClaims } from './placement.js';
import type { Claimant } from './placement.js';
import type { Dirent, TreeStore } from './tree-store.js';
import { DIRECTORY_DIRENT_TYPE } from './fields.js';

const PAGE = 256;

/** Every entry of a directory, read in pages: none may be written meanwhile. */
export function* direntsOf(store: TreeStore, parent: Ino): Iterable<Dirent> {
  let after = 0;
  for (;;) {
    const page = store.list(parent, after, PAGE);
    if (page.length === 0) return;
    yield* page;
    after = page.at(-1)!.cookie;
  }
}

export class Liveness {
  readonly #store: TreeStore;
  readonly #actors: ActorTable;
  readonly #tree: DirectoryTree;
  readonly #affected: AffectedInodes;
  /** Of removed or merged directories that were looked at. */
  readonly #alive = new Map<Ino, boolean>();
  /** Affected inodes by the directory they are placed in, or merged into, now. */
  readonly #children = new Map<Ino, Set<Ino>>();

  constructor(store: TreeStore, actors: ActorTable, tree: DirectoryTree, affected: AffectedInodes) {
    this.#store = store;
    this.#actors = actors;
    this.#tree = tree;
    this.#affected = affected;
  }

  /** Finds what died or came back by the changes to the affected inodes, and adds it to them. */
  settle(): void {
    const toExamine: Ino[] = [];
    for (const [ino, before] of this.#affected.list()) {
      this.#addEdges(ino);
      if (before.parent !== undefined) toExamine.push(before.parent);
      for (const claim of before.claims) toExamine.push(claim.parent);
      for (const parent of this.#parents(ino)) toExamine.push(parent);
      toExamine.push(ino);
    }
    for (let ino = toExamine.pop(); ino !== undefined; ino = toExamine.pop()) {
      if (this.#examine(ino)) toExamine.push(...this.#parents(ino));
    }
  }

  /** What the inode claims after this batch. */
  claims(inode: Inode): readonly Claimant[] {
    if (!inode.registers.has('born')) return [];
    if (!isDirectory(inode)) return fileClaims(inode, this.#actors);
    const claim = this.#tree.claim(inode);
    if (!claim) return [];
    return !claim.revived || (this.#alive.get(inode.ino) ?? inode.nlink > 0) ? [claim] : [];
  }

  #parents(ino: Ino): readonly Ino[] {
    const inode = this.#store.inode(ino);
    if (!inode?.registers.has('born')) return [];
    if (!isDirectory(inode)) return fileClaims(inode, this.#actors).map((claim) => claim.parent);
    const edge = this.#tree.edge(ino);
    return edge ? [edge.parent] : [];
  }

  #addEdges(ino: Ino): void {
    for (const parent of this.#parents(ino)) {
      const children = this.#children.get(parent);
      if (children) children.add(ino);
      else this.#children.set(parent, new Set([ino]));
    }
  }

  /** Placed and not merged: alive whatever it holds. */
  #isPlain(inode: Inode): boolean {
    return inode.ino === ROOT_INO || (directoryPlacement(inode).placed && this.#tree.into(inode.ino) === undefined);
  }

  /** @returns whether what it is placed in must be looked at again */
  #examine(ino: Ino): boolean {
    const inode = this.#store.inode(ino);
    if (!inode || !isDirectory(inode) || this.#isPlain(inode)) return false;
    const known = this.#alive.get(ino);
    const alive = this.#isSupported(ino);
    if (alive === known) return false;
    this.#alive.set(ino, alive);
    if (this.#affected.has(ino) || this.#tree.into(ino) !== undefined) return true;
    if (alive === inode.nlink > 0) return false;
    this.#affected.add(ino, { claims: this.#tree.claims(inode), parent: undefined });
    this.#addEdges(ino);
    return true;
  }

  #isSupported(ino: Ino): boolean {
    for (const child of this.#children.get(ino) ?? []) if (this.#isAlive(child)) return true;
    const home = this.#tree.home(ino);
    for (const dirent of direntsOf(this.#store, home)) {
      if (this.#isResident(dirent.ino, dirent.link, ino)) return true;
      if (dirent.type !== DIRECTORY_DIRENT_TYPE) continue;
      for (const member of this.#store.aliasesOf(dirent.ino)) if (this.#isResident(member, 0, ino)) return true;
    }
    for (const base of this.#store.contestedNames(home)) {
      for (const claim of this.#store.claims(home, base)) if (this.#isResident(claim.ino, claim.link, ino)) return true;
    }
    for (const member of this.#store.aliasesOf(home)) {
      if (this.#affected.has(member) || this.#tree.into(member) !== ino) continue;
      if (this.#alive.get(member) ?? this.#isSupported(member)) return true;
    }
    return false;
  }

  #isAlive(child: Ino): boolean {
    const inode = this.#store.inode(child)!;
    return !isDirectory(inode) || this.#isPlain(inode) || (this.#alive.get(child) ?? false);
  }

  /** Whether something that this batch left alone is placed in this very directory. */
  #isResident(ino: Ino, link: LinkId, directory: Ino): boolean {
    if (this.#affected.has(ino) || this.#store.copy(ino)) return false;
    const inode = this.#store.inode(ino)!;
    return this.#tree.claims(inode).some((claim) => claim.link === link && claim.parent === directory);
  }
}

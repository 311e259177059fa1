// memory-tree-store.ts — a TreeStore on maps: for tests, simulations and whatever fits in memory.
// Invariant: as TreeStore says; cookies increase in order of insertion and are never given twice in a directory.

import type { Ino, Name } from './ids.js';
import type { Inode } from './inode.js';
import type { Claim, CopyOf, Dirent, ListedDirent, TreeStore } from './tree-store.js';

interface Directory {
  readonly entries: Map<Name, ListedDirent>;
  nextCookie: number;
}

const NO_CLAIMS: readonly Claim[] = [];

export class MemoryTreeStore implements TreeStore {
  readonly #inodes = new Map<Ino, Inode>();
  readonly #directories = new Map<Ino, Directory>();
  readonly #claims = new Map<Ino, Map<Name, readonly Claim[]>>();
  readonly #aliases = new Map<Ino, Ino>();
  readonly #aliasesOf = new Map<Ino, Set<Ino>>();
  readonly #deferred = new Map<Ino, number>();
  readonly #copies = new Map<Ino, CopyOf>();
  readonly #copiesOf = new Map<Ino, Set<Ino>>();
  readonly #attributeContests = new Set<Ino>();

  inode(ino: Ino): Inode | undefined {
    return this.#inodes.get(ino);
  }

  insert(inode: Inode): void {
    this.#inodes.set(inode.ino, inode);
  }

  touch(_inode: Inode): void {
    // The object in the map is the state.
  }

  lookup(parent: Ino, name: Name): Dirent | undefined {
    return this.#directories.get(parent)?.entries.get(name);
  }

  setDirent(dirent: Dirent): void {
    let directory = this.#directories.get(dirent.parent);
    if (!directory) this.#directories.set(dirent.parent, (directory = { entries: new Map(), nextCookie: 1 }));
    const cookie = directory.entries.get(dirent.name)?.cookie ?? directory.nextCookie++;
    const { parent, name, ino, link, type } = dirent;
    directory.entries.set(name, { parent, name, ino, link, type, cookie });
  }

  deleteDirent(parent: Ino, name: Name): void {
    this.#directories.get(parent)?.entries.delete(name);
  }

  list(parent: Ino, after: number, limit: number): ListedDirent[] {
    const listed: ListedDirent[] = [];
    for (const dirent of this.#directories.get(parent)?.entries.values() ?? []) {
      if (dirent.cookie <= after) continue;
      if (listed.length >= limit) break;
      listed.push(dirent);
    }
    return listed;
  }

  hasEntries(parent: Ino): boolean {
    return (this.#directories.get(parent)?.entries.size ?? 0) > 0;
  }

  claims(parent: Ino, base: Name): readonly Claim[] {
    return this.#claims.size === 0 ? NO_CLAIMS : (this.#claims.get(parent)?.get(base) ?? NO_CLAIMS);
  }

  setClaims(parent: Ino, base: Name, claims: readonly Claim[]): void {
    let bases = this.#claims.get(parent);
    if (claims.length > 0) {
      if (!bases) this.#claims.set(parent, (bases = new Map()));
      bases.set(base, claims);
    } else if (bases?.delete(base) && bases.size === 0) {
      this.#claims.delete(parent);
    }
  }

  contestedNames(parent: Ino): readonly Name[] {
    return [...(this.#claims.get(parent)?.keys() ?? [])];
  }

  get hasContests(): boolean {
    return this.#claims.size > 0;
  }

  contestedDirectories(): readonly Ino[] {
    return [...this.#claims.keys()];
  }

  alias(ino: Ino): Ino | undefined {
    return this.#aliases.get(ino);
  }

  setAlias(ino: Ino, canonical: Ino | undefined): void {
    relate(this.#aliasesOf, ino, this.#aliases.get(ino), canonical);
    if (canonical === undefined) this.#aliases.delete(ino);
    else this.#aliases.set(ino, canonical);
  }

  aliasesOf(canonical: Ino): readonly Ino[] {
    return [...(this.#aliasesOf.get(canonical) ?? [])];
  }

  deferred(): ReadonlyMap<Ino, number> {
    return this.#deferred;
  }

  setDeferred(ino: Ino, candidate: number): void {
    if (candidate === 0) this.#deferred.delete(ino);
    else this.#deferred.set(ino, candidate);
  }

  copy(ino: Ino): CopyOf | undefined {
    return this.#copies.get(ino);
  }

  setCopy(ino: Ino, copy: CopyOf | undefined): void {
    relate(this.#copiesOf, ino, this.#copies.get(ino)?.source, copy?.source);
    if (copy) this.#copies.set(ino, copy);
    else this.#copies.delete(ino);
  }

  copies(): ReadonlyMap<Ino, CopyOf> {
    return this.#copies;
  }

  copiesOf(source: Ino): readonly Ino[] {
    return [...(this.#copiesOf.get(source) ?? [])];
  }

  attributeContests(): ReadonlySet<Ino> {
    return this.#attributeContests;
  }

  setAttributeContest(ino: Ino, isContested: boolean): void {
    if (isContested) this.#attributeContests.add(ino);
    else this.#attributeContests.delete(ino);
  }

  inodes(): Iterable<Ino> {
    return [...this.#inodes.keys()].toSorted((a, b) => a - b);
  }
}

/** Moves `ino` from the members of `before` to those of `after`. */
function relate(members: Map<Ino, Set<Ino>>, ino: Ino, before: Ino | undefined, after: Ino | undefined): void {
  if (before === after) return;
  if (before !== undefined) {
    const set = members.get(before);
    if (set?.delete(ino) && set.size === 0) members.delete(before);
  }
  if (after !== undefined) {
    const set = members.get(after);
    if (set) set.add(ino);
    else members.set(after, new Set([ino]));
  }
}

// conflicts.ts — what is in conflict in the tree as it stands, for people: where, who, when and why.
// Invariant: costs what is in conflict, not what there is; sorted by directory and name, so every site lists the same. It settles
// nothing (local-writes.ts). Merged directories and equal files that are hidden behind one another are no conflict.

import { DirectoryTree } from './directory-tree.js';
import { isDirectory, linkField, parseLink } from './fields.js';
import type { Place } from './fields.js';
import { ROOT_INO } from './ids.js';
import type { ActorTable, Ino, Name } from './ids.js';
import type { Entry } from './inode.js';
import { SiteNames } from './names.js';
import { directoryPlacement } from './placement.js';
import type { Claimant } from './placement.js';
import { sameOp } from './register.js';
import type { Claim, TreeStore } from './tree-store.js';

export type ConflictKind =
  /** A version of a file that lost to another, shown as a copy beside it. */
  | 'copy'
  /** Another file or directory has the name; this one is shown under a suffixed one. */
  | 'name'
  /** Removed at one site and changed at another meanwhile: it is back. */
  | 'revived'
  /** Moved at one site and removed at another meanwhile: it stays where it was moved. */
  | 'removed-elsewhere'
  /** Moved at two sites to different places: it is at the later one. */
  | 'moved-elsewhere'
  /** A directory whose move would have put it inside itself. */
  | 'move-deferred';

/** A write that takes part in a conflict. */
export interface Side {
  /** The site's name as file names spell it; '?' when it is not known. */
  readonly site: Name;
  /** Microseconds since 1970. */
  readonly stamp: number;
}

export interface Conflict {
  readonly kind: ConflictKind;
  /** What is shown at `path`. */
  readonly ino: Ino;
  /** Names from the root to what lost, or to what is in conflict with itself. */
  readonly path: readonly Name[];
  readonly winner: Side;
  readonly loser: Side;
  /** The place that did not come about: of a lost name, a move. */
  readonly wanted: readonly Name[] | undefined;
  readonly why: string;
}

export function listConflicts(store: TreeStore, actors: ActorTable): Conflict[] {
  return new ConflictList(store, actors).conflicts;
}

class ConflictList {
  readonly conflicts: Conflict[] = [];
  readonly #store: TreeStore;
  readonly #tree: DirectoryTree;
  readonly #sites: SiteNames;

  constructor(store: TreeStore, actors: ActorTable) {
    this.#store = store;
    this.#tree = new DirectoryTree(store, actors);
    this.#sites = new SiteNames(store, actors);
    for (const parent of store.contestedDirectories().toSorted((a, b) => a - b)) {
      for (const base of store.contestedNames(parent).toSorted()) this.#addName(parent, base);
    }
    for (const ino of [...store.deferred().keys()].toSorted((a, b) => a - b)) this.#addDeferred(ino);
  }

  #addName(parent: Ino, base: Name): void {
    const claims = this.#store.claims(parent, base);
    const winner = this.#claimant(claims[0]!);
    for (const claim of claims) {
      if (claim.shown === null) continue;
      const path = [...this.#path(parent), claim.shown];
      if (this.#store.copy(claim.ino)) {
        this.#addCopy(claim.ino, path);
        continue;
      }
      const claimant = this.#claimant(claim);
      if (claimant.ino !== winner.ino) {
        this.#add('name', claim.ino, path, winner.entry, claimant.entry, this.#pathTo({ parent, name: base }));
      }
      if (claimant.revived) this.#add('revived', claim.ino, path, this.#reviver(claimant), claimant.entry);
      else if (claimant.contended) this.#addContended(claimant, path);
    }
  }

  #claimant({ ino, link }: Claim): Claimant {
    return this.#tree.claims(this.#store.inode(ino)!).find((claim) => claim.link === link)!;
  }

  #addCopy(ino: Ino, path: readonly Name[]): void {
    const copy = this.#store.copy(ino)!;
    const heads = this.#store.inode(copy.source)!.registers.get('head')!;
    this.#add(
      'copy',
      ino,
      path,
      heads[0]!,
      heads.find((head) => sameOp(head, copy))!,
    );
  }

  /** What kept a removed thing alive: its latest content, or for a directory the last change to itself that is known. */
  #reviver({ ino, entry }: Claimant): Entry {
    const registers = this.#store.inode(ino)!.registers;
    return registers.get('head')?.[0] ?? registers.get('times')?.[0] ?? entry;
  }

  #addContended({ ino, link, entry }: Claimant, path: readonly Name[]): void {
    for (const other of this.#store.inode(ino)!.registers.get(linkField(link)) ?? []) {
      if (sameOp(other, entry)) continue;
      const value = parseLink(other.value);
      if (value.kind === 'tombstone') this.#add('removed-elsewhere', ino, path, entry, other);
      else this.#add('moved-elsewhere', ino, path, entry, other, this.#pathTo(value));
    }
  }

  #addDeferred(ino: Ino): void {
    const inode = this.#store.inode(ino);
    if (!inode || !isDirectory(inode) || (inode.nlink === 0 && this.#store.alias(ino) === undefined)) return;
    const { first } = directoryPlacement(inode);
    const held = this.#tree.edge(ino)!;
    const wanted = first.into ? this.#path(first.parent) : this.#pathTo(first);
    this.#add('move-deferred', ino, this.#path(ino), held.entry, first.entry, wanted);
  }

  #add(
    kind: ConflictKind,
    ino: Ino,
    path: readonly Name[],
    winning: Entry,
    losing: Entry,
    wanted?: readonly Name[],
  ): void {
    const winner = this.#side(winning);
    const loser = this.#side(losing);
    const why = REASONS[kind](winner.site, loser.site);
    this.conflicts.push({ kind, ino, path, winner, loser, wanted, why });
  }

  #side(entry: Entry): Side {
    return { site: this.#sites.of(entry.actor), stamp: entry.stamp };
  }

  /** Names from the root to a place, of which the last may not exist. */
  #pathTo({ parent, name }: Place): Name[] {
    return [...this.#path(parent), name];
  }

  /** Names from the root to a directory; of one that is not in the tree, as far up as is known. */
  #path(directory: Ino): Name[] {
    const names: Name[] = [];
    const seen = new Set<Ino>();
    for (let at = this.#tree.home(directory); at !== ROOT_INO && !seen.has(at);) {
      seen.add(at);
      const edge = this.#tree.edge(at);
      if (!edge) break;
      const home = this.#tree.home(edge.parent);
      const rivals = this.#store.claims(home, edge.name);
      names.unshift(rivals.find((rival) => rival.ino === at)?.shown ?? edge.name);
      at = home;
    }
    return names;
  }
}

const REASONS: Readonly<Record<ConflictKind, (winner: Name, loser: Name) => string>> = {
  copy: (winner, loser) => `written at ${loser} while ${winner} wrote another version`,
  name: (winner, loser) => `${loser} and ${winner} gave one name to different things`,
  revived: (winner, loser) => `removed at ${loser} while ${winner} changed it`,
  'removed-elsewhere': (winner, loser) => `removed at ${loser} while ${winner} moved it`,
  'moved-elsewhere': (winner, loser) => `moved by ${loser} while ${winner} moved it elsewhere`,
  'move-deferred': (winner, loser) => `the move at ${loser} would put it inside itself, because of a move at ${winner}`,
};

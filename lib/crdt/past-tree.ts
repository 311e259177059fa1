// past-tree.ts — the tree that the registers of some moment show, read directory by directory.
// Invariant: what list() says of a directory is what projection.ts says of it for the same registers; no more is read than that
// takes: what ever was placed in the directory, and of what was removed whether anything in it lives. Pure; nothing is kept but
// what was asked for. A directory is known by where it was found, because names merge directories from above.

import { losingVersions } from './copies.js';
import { DIRECTORY_DIRENT_TYPE, direntType, REGULAR_DIRENT_TYPE } from './fields.js';
import { isDirectory, typeOf } from './inode-attributes.js';
import type { HeadVersion } from './inode-attributes.js';
import { FIRST_LINK, ROOT_INO, VOLUME_INO } from './ids.js';
import type { ActorTable, Ino, LinkId, Name } from './ids.js';
import type { Entry, Inode } from './inode.js';
import { contest, nameLosers, SiteNames, SUFFIX_MARK } from './names.js';
import { candidateAt, directoryClaim, directoryPlacement, fileClaims } from './placement.js';
import type { Candidate, Claimant } from './placement.js';
import { compareEntries, sameOp } from './register.js';
import type { RegisterStore } from './tree-store.js';

/** The registers of a moment, and where inodes are to be looked for. */
export interface PastRegisters extends RegisterStore {
  /** Inodes of which some register names, or at another time named, a place in this directory: under `name`, or under any. */
  placedIn(parent: Ino, name?: Name): readonly Ino[];
  /** Directories of which some register says, or at another time said, that they are merged into this one. */
  mergedInto(canonical: Ino): readonly Ino[];
}

/** A directory as it is shown, with the directories whose entries are shown in it. */
export interface PastDirectory {
  readonly ino: Ino;
  /** The directory itself first. */
  readonly members: readonly Ino[];
}

export interface PastEntry {
  readonly name: Name;
  readonly ino: Ino;
  readonly link: LinkId;
  /** The d_type of readdir. */
  readonly type: number;
  /** Of a directory: what to list it by. */
  readonly directory: PastDirectory | undefined;
  /** Of a conflict copy: the version that it shows, and the file that it lost to. */
  readonly copy: { readonly source: Ino; readonly version: HeadVersion } | undefined;
}

interface Losing {
  readonly ino: Ino;
  readonly link: LinkId;
  readonly base: Name;
  readonly entry: Entry;
  readonly copy: PastEntry['copy'];
  readonly directory: PastDirectory | undefined;
}

interface Slot {
  readonly claims: readonly Claimant[];
  /** Of a directory that merges others under this name: all of them. */
  readonly merged: ReadonlyMap<Ino, readonly Ino[]>;
}

export class PastTree {
  readonly #registers: PastRegisters;
  readonly #actors: ActorTable;
  readonly #sites: SiteNames;
  /** Which candidate place a directory holds, where it is not the first. */
  readonly #cursors = new Map<Ino, number>();
  /** Directories whose way up is known to end. */
  readonly #settled = new Set<Ino>();
  readonly #living = new Map<Ino, boolean>();

  constructor(registers: PastRegisters, actors: ActorTable) {
    this.#registers = registers;
    this.#actors = actors;
    this.#sites = new SiteNames(registers, actors);
  }

  /** Undefined before the volume was made. */
  get root(): PastDirectory | undefined {
    return this.#isDirectory(ROOT_INO) ? { ino: ROOT_INO, members: this.#membersOf(ROOT_INO) } : undefined;
  }

  /** The registers of an inode then. */
  inode(ino: Ino): Inode | undefined {
    return this.#registers.inode(ino);
  }

  /** All entries of a directory, by name. */
  list(directory: PastDirectory): PastEntry[] {
    const byName = new Map<Name, Claimant[]>();
    for (const claim of this.#claims(directory)) {
      const rivals = byName.get(claim.name);
      if (rivals) rivals.push(claim);
      else byName.set(claim.name, [claim]);
    }
    const members = new Set(directory.members);
    const entries: PastEntry[] = [];
    const losing: Losing[] = [];
    for (const [base, claims] of byName) {
      const slot = this.#slot(claims);
      const { winner, losers } = contest(slot.claims, this.#registers, this.#actors);
      entries.push(this.#entry(base, winner!, slot));
      for (const claim of losers) losing.push({ ...claim, base, copy: undefined, directory: shownAs(claim, slot) });
      for (const claim of [winner!, ...losers]) losing.push(...this.#copies(claim, base, members));
    }
    for (const [name, { ino, link, copy, directory: lost }] of nameLosers(
      losing,
      (other) => byName.has(other),
      this.#sites,
      this.#actors,
    )) {
      const type = copy ? REGULAR_DIRENT_TYPE : this.#type(ino);
      entries.push({ name, ino, link, type, directory: lost, copy });
    }
    return entries.toSorted((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** One entry; only for a suffixed name the whole directory is looked at. */
  lookup(directory: PastDirectory, name: Name): PastEntry | undefined {
    const claims = this.#claims(directory, name);
    if (claims.length > 0) {
      const slot = this.#slot(claims);
      return this.#entry(name, contest(slot.claims, this.#registers, this.#actors).winner!, slot);
    }
    return name.includes(SUFFIX_MARK) ? this.list(directory).find((entry) => entry.name === name) : undefined;
  }

  // ── names ───────────────────────────────────────────────────────────────────────────────────────────────────────────────────

  #claims({ members }: PastDirectory, name?: Name): Claimant[] {
    const claims: Claimant[] = [];
    for (const member of members) {
      for (const ino of this.#registers.placedIn(member, name)) {
        for (const claim of this.#claimsOf(ino)) {
          if (claim.parent === member && (name === undefined || claim.name === name)) claims.push(claim);
        }
      }
    }
    return claims;
  }

  #claimsOf(ino: Ino): readonly Claimant[] {
    const inode = this.#registers.inode(ino);
    if (!inode || ino === VOLUME_INO || ino === ROOT_INO || !inode.registers.has('born')) return [];
    if (!isDirectory(inode)) return fileClaims(inode, this.#actors);
    if (!this.#isLiving(ino)) return [];
    const claim = directoryClaim(inode, this.#cursor(ino));
    return claim ? [claim] : [];
  }

  /** Directories that have a name by birth are one. */
  #slot(claims: readonly Claimant[]): Slot {
    const births = claims.filter((claim) => claim.birth).map((claim) => claim.ino);
    const lowest = Math.min(...births);
    const merged = new Map<Ino, readonly Ino[]>();
    const shown = claims.filter((claim) => !claim.birth || claim.ino === lowest);
    for (const { ino, birth, directory } of shown) {
      if (!directory) continue;
      const others = birth ? births.filter((other) => other !== ino) : [];
      merged.set(
        ino,
        [ino, ...others].flatMap((member) => this.#membersOf(member)),
      );
    }
    return { claims: shown, merged };
  }

  #entry(name: Name, claim: Claimant, slot: Slot): PastEntry {
    const { ino, link } = claim;
    return { name, ino, link, type: this.#type(ino), directory: shownAs(claim, slot), copy: undefined };
  }

  #copies({ ino, directory }: Claimant, base: Name, members: ReadonlySet<Ino>): Losing[] {
    if (directory) return [];
    const inode = this.#registers.inode(ino)!;
    const first = fileClaims(inode, this.#actors)[0]!;
    if (first.name !== base || !members.has(first.parent)) return [];
    return losingVersions(inode, this.#registers).map((version) => ({
      ino: version.copyIno,
      link: FIRST_LINK,
      base,
      entry: inode.registers.get('head')!.find((head) => sameOp(head, version))!,
      copy: { source: ino, version },
      directory: undefined,
    }));
  }

  #type(ino: Ino): number {
    return direntType(typeOf(this.#registers.inode(ino)!)!);
  }

  // ── directories ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

  #isDirectory(ino: Ino): boolean {
    const inode = this.#registers.inode(ino);
    return inode !== undefined && ino !== VOLUME_INO && isDirectory(inode);
  }

  #membersOf(ino: Ino): Ino[] {
    const merged = this.#registers.mergedInto(ino).filter((other) => {
      const candidate = this.#candidate(other);
      return candidate?.into && candidate.parent === ino;
    });
    return [ino, ...merged.flatMap((other) => this.#membersOf(other))];
  }

  #candidate(ino: Ino): Candidate | undefined {
    if (ino === ROOT_INO || !this.#isDirectory(ino)) return undefined;
    return candidateAt(this.#registers.inode(ino)!, this.#cursor(ino));
  }

  /** Alive by its link, or by what lives in it or is merged into it. */
  #isLiving(ino: Ino): boolean {
    if (ino === ROOT_INO) return true;
    let lives = this.#living.get(ino);
    if (lives === undefined) {
      const isPlaced = directoryPlacement(this.#registers.inode(ino)!).placed && !this.#candidate(ino)!.into;
      lives = isPlaced || this.#holdsLiving(ino);
      this.#living.set(ino, lives);
    }
    return lives;
  }

  #holdsLiving(ino: Ino): boolean {
    const isIn = (child: Ino): boolean => {
      const inode = this.#registers.inode(child);
      if (!inode || child === VOLUME_INO || !inode.registers.has('born')) return false;
      if (!isDirectory(inode)) return fileClaims(inode, this.#actors).some((claim) => claim.parent === ino);
      return this.#candidate(child)?.parent === ino && this.#isLiving(child);
    };
    return this.#registers.placedIn(ino).some(isIn) || this.#registers.mergedInto(ino).some(isIn);
  }

  /** Only the cycles that a directory's way up meets matter to it, and each of them by itself: directory-tree.ts. */
  #cursor(start: Ino): number {
    while (!this.#settled.has(start)) {
      const depths = new Map<Ino, number>();
      const path: Ino[] = [];
      let at: Ino | undefined = start;
      while (at !== undefined && !this.#settled.has(at) && !depths.has(at)) {
        depths.set(at, path.length);
        path.push(at);
        at = this.#edge(at)?.parent;
      }
      const from = at === undefined ? undefined : depths.get(at);
      if (from === undefined) {
        for (const ino of path) this.#settled.add(ino);
      } else {
        const latest = path.slice(from).reduce((a, b) => (this.#isLater(b, a) ? b : a));
        this.#cursors.set(latest, (this.#cursors.get(latest) ?? 0) + 1);
      }
    }
    return this.#cursors.get(start) ?? 0;
  }

  #edge(ino: Ino): Candidate | undefined {
    if (ino === ROOT_INO || !this.#isDirectory(ino)) return undefined;
    return candidateAt(this.#registers.inode(ino)!, this.#cursors.get(ino) ?? 0);
  }

  #isLater(a: Ino, b: Ino): boolean {
    const first = this.#edge(a)!;
    const second = this.#edge(b)!;
    if (first.lowest || second.lowest) return first.lowest === second.lowest ? a > b : second.lowest;
    return (compareEntries(first.entry, second.entry, this.#actors) || a - b) > 0;
  }
}

function shownAs({ ino, directory }: Claimant, { merged }: Slot): PastDirectory | undefined {
  return directory ? { ino, members: merged.get(ino) ?? [ino] } : undefined;
}

/** Whether an entry can be listed. */
export function isDirectoryEntry(entry: PastEntry): entry is PastEntry & { readonly directory: PastDirectory } {
  return entry.type === DIRECTORY_DIRENT_TYPE && entry.directory !== undefined;
}

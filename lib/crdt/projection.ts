// projection.ts — the visible tree computed from nothing over all registers: what the merge rules mean.
// Invariant: a pure function of the registers (and the names of sites), step by step as MERGE.md orders them. Simple before fast:
// tests and `weft fsck` compare the tree that replica.ts keeps with it. It reads nothing that the store derived.

import { losingVersions } from './copies.js';
import { DIRECTORY_DIRENT_TYPE, REGULAR_DIRENT_TYPE, direntType } from './fields.js';
import { isDirectory, typeOf } from './inode-attributes.js';
import { FIRST_LINK, ROOT_INO, VOLUME_INO } from './ids.js';
import type { ActorTable, Ino, LinkId, Name } from './ids.js';
import type { Entry } from './inode.js';
import { SiteNames, contest, nameLosers } from './names.js';
import { directoryClaim, directoryPlacement, fileClaims } from './placement.js';
import type { Candidate, Claimant } from './placement.js';
import { compareEntries, sameOp } from './register.js';
import type { Claim, CopyOf, Dirent, TreeStore } from './tree-store.js';

/** Everything that a TreeStore derives from its registers. */
export interface View {
  /** By {@link placeKey} of parent and name. */
  readonly dirents: Map<string, Dirent>;
  /** Of what is shown; the rest has none. */
  readonly nlink: Map<Ino, number>;
  /** By {@link placeKey} of parent and base name: names in conflict. */
  readonly claims: Map<string, readonly Claim[]>;
  readonly aliases: Map<Ino, Ino>;
  readonly deferred: Map<Ino, number>;
  readonly copies: Map<Ino, CopyOf>;
}

export function placeKey(parent: Ino, name: Name): string {
  return `${parent}/${name}`;
}

export function projectAll(store: TreeStore, actors: ActorTable): View {
  return new Projection(store, actors).view;
}

interface Losing {
  readonly ino: Ino;
  readonly link: LinkId;
  readonly base: Name;
  readonly entry: Entry;
  readonly type: number;
  readonly copyOf: CopyOf | undefined;
}

class Projection {
  readonly view: View = {
    dirents: new Map(),
    nlink: new Map(),
    claims: new Map(),
    aliases: new Map(),
    deferred: new Map(),
    copies: new Map(),
  };
  readonly #store: TreeStore;
  readonly #actors: ActorTable;
  readonly #sites: SiteNames;
  readonly #directories = new Set<Ino>();
  readonly #files = new Set<Ino>();
  /** Living claims by the directory that the register names. */
  readonly #placedIn = new Map<Ino, Claimant[]>();

  constructor(store: TreeStore, actors: ActorTable) {
    this.#store = store;
    this.#actors = actors;
    this.#sites = new SiteNames(store, actors);
    for (const ino of store.inodes()) {
      const inode = store.inode(ino)!;
      if (ino === VOLUME_INO || !inode.registers.has('born')) continue;
      (isDirectory(inode) ? this.#directories : this.#files).add(ino);
    }
    this.#breakCycles();
    this.#findLiving();
    this.#nameAll();
    this.#countLinks();
  }

  #candidate(ino: Ino): Candidate | undefined {
    if (ino === ROOT_INO || !this.#directories.has(ino)) return undefined;
    return directoryPlacement(this.#store.inode(ino)!).candidates[this.view.deferred.get(ino) ?? 0];
  }

  #breakCycles(): void {
    for (;;) {
      const cycles = this.#cycles();
      if (cycles.length === 0) return;
      for (const cycle of cycles) {
        const latest = cycle.toSorted((a, b) => this.#compareWrites(b, a))[0]!;
        this.view.deferred.set(latest, (this.view.deferred.get(latest) ?? 0) + 1);
      }
    }
  }

  #compareWrites(a: Ino, b: Ino): number {
    const x = this.#candidate(a)!;
    const y = this.#candidate(b)!;
    if (x.lowest && y.lowest) return a - b;
    if (x.lowest || y.lowest) return x.lowest ? -1 : 1;
    return compareEntries(x.entry, y.entry, this.#actors) || a - b;
  }

  #cycles(): Ino[][] {
    const cycles: Ino[][] = [];
    const seen = new Set<Ino>();
    for (const start of this.#directories) {
      const path: Ino[] = [];
      for (let at: Ino | undefined = start; at !== undefined && !seen.has(at); at = this.#candidate(at)?.parent) {
        seen.add(at);
        path.push(at);
        const next = this.#candidate(at)?.parent;
        if (next !== undefined && path.includes(next)) cycles.push(path.slice(path.indexOf(next)));
      }
    }
    return cycles;
  }

  /** A file lives by its registers, a directory by its link or by what lives in it. */
  #findLiving(): void {
    const children = new Map<Ino, Ino[]>();
    const living = new Map<Ino, boolean>([[ROOT_INO, true]]);
    const edge = (parent: Ino, ino: Ino): void => {
      const siblings = children.get(parent);
      if (siblings) siblings.push(ino);
      else children.set(parent, [ino]);
    };
    for (const ino of this.#files) {
      for (const claim of fileClaims(this.#store.inode(ino)!, this.#actors)) {
        edge(claim.parent, ino);
        this.#put(claim);
      }
    }
    for (const ino of this.#directories) {
      const candidate = this.#candidate(ino);
      if (candidate) edge(candidate.parent, ino);
    }
    const isLiving = (ino: Ino): boolean => {
      if (this.#files.has(ino)) return true;
      let lives = living.get(ino);
      if (lives === undefined) {
        const isPlaced = directoryPlacement(this.#store.inode(ino)!).placed && !this.#candidate(ino)!.into;
        lives = isPlaced || (children.get(ino) ?? []).some(isLiving);
        living.set(ino, lives);
      }
      return lives;
    };
    for (const ino of this.#directories) {
      if (ino === ROOT_INO || !isLiving(ino)) continue;
      const claim = directoryClaim(this.#store.inode(ino)!, this.view.deferred.get(ino) ?? 0);
      if (claim) this.#put(claim);
    }
  }

  #put(claim: Claimant): void {
    const claims = this.#placedIn.get(claim.parent);
    if (claims) claims.push(claim);
    else this.#placedIn.set(claim.parent, [claim]);
  }

  /** From the root down: what is merged into a directory is known before its names are given. */
  #nameAll(): void {
    const mergedForGood = new Map<Ino, Ino[]>();
    for (const ino of this.#directories) {
      const candidate = this.#candidate(ino);
      if (!candidate?.into) continue;
      mergedForGood.set(candidate.parent, [...(mergedForGood.get(candidate.parent) ?? []), ino]);
      this.view.aliases.set(ino, this.#end(ino));
    }
    const membersOf = (ino: Ino): Ino[] => [ino, ...(mergedForGood.get(ino) ?? []).flatMap(membersOf)];
    // Every way up ends at the root; where a malformed change placed something in what is no directory, there, out of sight.
    const tops = new Set([ROOT_INO, ...this.#placedIn.keys(), ...mergedForGood.keys()]);
    const queue: { canonical: Ino; members: Ino[] }[] = [];
    for (const ino of tops) {
      if (ino === ROOT_INO || !this.#directories.has(ino)) queue.push({ canonical: ino, members: membersOf(ino) });
    }
    for (const { canonical, members } of queue) {
      const byName = new Map<Name, Claimant[]>();
      for (const claim of members.flatMap((member) => this.#placedIn.get(member) ?? [])) {
        const rivals = byName.get(claim.name);
        if (rivals) rivals.push(claim);
        else byName.set(claim.name, [claim]);
      }
      for (const [name, claims] of byName) {
        const births = claims.filter((claim) => claim.birth).map((claim) => claim.ino);
        const lowest = Math.min(...births);
        for (const claim of claims) {
          if (!claim.directory || (claim.birth && claim.ino !== lowest)) continue;
          const merged = claim.birth ? births : [claim.ino];
          const all = merged.flatMap(membersOf);
          for (const member of all) if (member !== claim.ino) this.view.aliases.set(member, claim.ino);
          queue.push({ canonical: claim.ino, members: all });
        }
        byName.set(
          name,
          claims.filter((claim) => !claim.birth || claim.ino === lowest),
        );
      }
      this.#nameEntries(canonical, new Set(members), byName);
    }
  }

  /** Where merges for good lead. */
  #end(ino: Ino): Ino {
    let at = ino;
    for (let next = this.#candidate(at); next?.into; next = this.#candidate(at)) at = next.parent;
    return at;
  }

  #nameEntries(parent: Ino, members: ReadonlySet<Ino>, byName: ReadonlyMap<Name, readonly Claimant[]>): void {
    const losing: Losing[] = [];
    const slots: { base: Name; shown: { ino: Ino; link: LinkId; losing?: Losing; hidden?: true }[] }[] = [];
    for (const [base, claimants] of byName) {
      const { winner, losers, hidden } = contest(claimants, this.#store, this.#actors);
      const slot: (typeof slots)[number] = { base, shown: [] };
      slots.push(slot);
      slot.shown.push({ ino: winner!.ino, link: winner!.link });
      this.#addDirent({ parent, name: base, ino: winner!.ino, link: winner!.link, type: this.#type(winner!.ino) });
      for (const { ino, link, entry } of losers) {
        const loser: Losing = { ino, link, base, entry, type: this.#type(ino), copyOf: undefined };
        losing.push(loser);
        slot.shown.push({ ino, link, losing: loser });
      }
      for (const { ino, link } of hidden) slot.shown.push({ ino, link, hidden: true });
      for (const claimant of [winner!, ...losers]) {
        for (const copy of this.#copies(claimant, base, members)) {
          losing.push(copy);
          slot.shown.push({ ino: copy.ino, link: copy.link, losing: copy });
        }
      }
    }
    const named = nameLosers(losing, (name) => byName.has(name), this.#sites, this.#actors);
    const names = new Map<Losing, Name>();
    for (const [name, { ino, link, type, copyOf }] of named) {
      names.set(named.get(name)!, name);
      this.#addDirent({ parent, name, ino, link, type });
      if (copyOf) this.view.copies.set(ino, copyOf);
    }
    for (const { base, shown } of slots) {
      const isNoteworthy = byName.get(base)!.some((claim) => claim.revived || claim.contended);
      if (shown.length < 2 && !isNoteworthy) continue;
      this.view.claims.set(
        placeKey(parent, base),
        shown.map(({ ino, link, losing: loser, hidden }) => ({
          ino,
          link,
          shown: hidden ? null : loser ? names.get(loser)! : base,
        })),
      );
    }
  }

  #copies({ ino, directory }: Claimant, base: Name, members: ReadonlySet<Ino>): Losing[] {
    if (directory) return [];
    const inode = this.#store.inode(ino)!;
    const first = fileClaims(inode, this.#actors)[0]!;
    if (first.name !== base || !members.has(first.parent)) return [];
    return losingVersions(inode, this.#store).map((version) => ({
      ino: version.copyIno,
      link: FIRST_LINK,
      base,
      entry: inode.registers.get('head')!.find((head) => sameOp(head, version))!,
      type: REGULAR_DIRENT_TYPE,
      copyOf: { source: ino, counter: version.counter, actor: version.actor },
    }));
  }

  #type(ino: Ino): number {
    return direntType(typeOf(this.#store.inode(ino)!)!);
  }

  #addDirent(dirent: Dirent): void {
    this.view.dirents.set(placeKey(dirent.parent, dirent.name), dirent);
  }

  #countLinks(): void {
    const { nlink, dirents, copies } = this.view;
    if (this.#directories.has(ROOT_INO)) nlink.set(ROOT_INO, 2);
    for (const { ino, type } of dirents.values()) {
      if (type === DIRECTORY_DIRENT_TYPE) nlink.set(ino, 2);
      else if (!copies.has(ino)) nlink.set(ino, (nlink.get(ino) ?? 0) + 1);
    }
    for (const { parent, type } of dirents.values()) {
      if (type === DIRECTORY_DIRENT_TYPE && this.#directories.has(parent)) nlink.set(parent, nlink.get(parent)! + 1);
    }
  }
}

/** How the tree that the store holds differs from the view of its registers, in words; empty when it does not. */
export function compareWithStore(view: View, store: TreeStore): string[] {
  const wrong: string[] = [];
  const check = (what: string, is: unknown, should: unknown): void => {
    const [a, b] = [JSON.stringify(is), JSON.stringify(should)];
    if (a !== b) wrong.push(`${what}: is ${a}, should be ${b}`);
  };

  const parents = new Set<Ino>([...view.dirents.values()].map((dirent) => dirent.parent));
  for (const ino of store.inodes()) {
    check(`nlink of inode ${ino}`, store.inode(ino)!.nlink, view.nlink.get(ino) ?? 0);
    check(`merge of inode ${ino}`, store.alias(ino), view.aliases.get(ino));
    parents.add(ino);
  }
  let count = 0;
  for (const parent of parents) {
    for (let after = 0; ;) {
      const page = store.list(parent, after, 1000);
      if (page.length === 0) break;
      after = page.at(-1)!.cookie;
      for (const { name, ino, link, type } of page) {
        count++;
        const should = view.dirents.get(placeKey(parent, name));
        check(`entry ${placeKey(parent, name)}`, [ino, link, type], should && [should.ino, should.link, should.type]);
      }
    }
  }
  for (const dirent of view.dirents.values()) {
    if (!store.lookup(dirent.parent, dirent.name))
      check(`entry ${placeKey(dirent.parent, dirent.name)}`, null, dirent.ino);
  }
  check('number of entries', count, view.dirents.size);

  const contested = new Set(view.claims.keys());
  for (const parent of store.contestedDirectories()) {
    for (const base of store.contestedNames(parent)) contested.add(placeKey(parent, base));
  }
  for (const key of contested) {
    const slash = key.indexOf('/');
    const claims = store.claims(Number(key.slice(0, slash)), key.slice(slash + 1));
    check(`claims to ${key}`, claims.map(plainClaim), (view.claims.get(key) ?? []).map(plainClaim));
  }
  check('deferred moves', sortedEntries(store.deferred(), Number), sortedEntries(view.deferred, Number));
  check('copies', sortedEntries(store.copies(), plainCopy), sortedEntries(view.copies, plainCopy));
  return wrong;
}

function plainClaim({ ino, link, shown }: Claim): unknown {
  return [ino, link, shown];
}

function plainCopy({ source, counter, actor }: CopyOf): unknown {
  return [source, counter, actor];
}

function sortedEntries<V>(map: ReadonlyMap<Ino, V>, plain: (value: V) => unknown): unknown[] {
  return [...map].toSorted(([a], [b]) => a - b).map(([ino, value]) => [ino, plain(value)]);
}

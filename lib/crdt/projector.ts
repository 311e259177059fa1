// projector.ts — brings the tree up to date after a batch for everything that is or becomes contested.
// Invariant: the tree equals projection.ts's view of the same registers. It costs what is affected, not what there is. The order
// is MERGE.md's: placement, liveness, merged directories, versions and names, link counts. Uncontested writes: replica.ts.

import { AffectedInodes } from './affected.js';
import { losingVersions } from './copies.js';
import { DirectoryTree } from './directory-tree.js';
import { direntType, DIRECTORY_DIRENT_TYPE, REGULAR_DIRENT_TYPE } from './fields.js';
import { isDirectory, typeOf } from './inode-attributes.js';
import { FIRST_LINK, ROOT_INO } from './ids.js';
import type { ActorTable, Ino, LinkId, Name } from './ids.js';
import type { Entry } from './inode.js';
import { Liveness, direntsOf } from './liveness.js';
import { MergedDirectories } from './merged-directories.js';
import { SUFFIX_MARK, SiteNames, contest, isFirstChoice, nameLosers, suffixedName } from './names.js';
import { fileClaims } from './placement.js';
import type { Claimant } from './placement.js';
import { sameOp } from './register.js';
import { Slots } from './slots.js';
import type { Slot } from './slots.js';
import type { TreeEditor } from './tree-editor.js';
import type { Claim, CopyOf, Dirent, TreeStore } from './tree-store.js';

/** How one claimant of a slot, or a copy of it, is shown. */
interface Outcome {
  readonly ino: Ino;
  readonly link: LinkId;
  readonly type: number;
  readonly base: Name;
  /** The write whose site and stamp a suffix names. */
  readonly entry: Entry;
  /** Null when hidden, undefined while it waits for a suffixed name. */
  name: Name | null | undefined;
  /** The version that a copy shows. */
  readonly copyOf: CopyOf | undefined;
  /** In conflict though nobody else claims the name. */
  readonly isNoteworthy: boolean;
}

/** Link counts and copies are settled after all directories: both may leave one and enter another. */
interface Tally {
  readonly links: Map<Ino, number>;
  readonly copiesBefore: Set<Ino>;
  readonly copies: Map<Ino, CopyOf>;
}

export class Projector {
  readonly affected = new AffectedInodes();
  readonly tree: DirectoryTree;
  readonly #store: TreeStore;
  readonly #actors: ActorTable;
  readonly #editor: TreeEditor;
  readonly #sites: SiteNames;
  /** Of directories with losers: whether one of them had to take a longer name. */
  readonly #crowded = new Map<Ino, boolean>();

  constructor(store: TreeStore, actors: ActorTable, editor: TreeEditor) {
    this.#store = store;
    this.#actors = actors;
    this.#editor = editor;
    this.tree = new DirectoryTree(store, actors);
    this.#sites = new SiteNames(store, actors);
  }

  /** Works out anew all that depends on the affected inodes and, when sites got their names, every suffixed name. */
  project(sitesChanged: boolean): void {
    const { affected, tree } = this;
    if (affected.size === 0 && !sitesChanged) return;
    this.#placeDirectories();
    const liveness = new Liveness(this.#store, this.#actors, tree, affected);
    liveness.settle();
    const slots = new Slots(this.#store, tree, affected);
    new MergedDirectories(this.#store, tree, affected, slots).settle(liveness);
    if (sitesChanged) {
      this.#sites.forget();
      for (const parent of this.#store.contestedDirectories()) slots.loadContested(parent);
    }
    const tally: Tally = { links: new Map(), copiesBefore: new Set(), copies: new Map() };
    for (const parent of slots.parents()) this.#showDirectory(parent, slots, tally);
    this.#settleTally(tally);
    if (affected.retyped.size > 0) this.#countRetyped(liveness);
    affected.clear();
  }

  #placeDirectories(): void {
    const changed: Ino[] = [];
    for (const [ino] of this.affected.list()) {
      const inode = this.#store.inode(ino);
      if (inode && (isDirectory(inode) || this.affected.retyped.has(ino))) changed.push(ino);
    }
    if (changed.length === 0) return;
    for (const [ino, cursor] of this.tree.breakCycles(changed)) {
      // Of one that changed itself the cursor is stale, but what it claimed before is known.
      if (!this.affected.has(ino)) {
        const claims = this.tree.claims(this.#store.inode(ino)!);
        this.affected.add(ino, { claims, parent: this.tree.edge(ino)?.parent });
      }
      this.#store.setDeferred(ino, cursor);
    }
  }

  #showDirectory(parent: Ino, slots: Slots, tally: Tally): void {
    let outcomes = this.#decideAll(parent, slots);
    if (!this.#nameAlone(parent, outcomes)) {
      slots.loadContested(parent);
      outcomes = this.#decideAll(parent, slots);
      this.#nameTogether(parent, slots, outcomes);
    }
    this.#edit(parent, outcomes, tally);
  }

  /**
   * Names the losers of the touched slots alone, which suffices as long as every loser of the directory has its first choice of a
   * name: so that thousands of conflicts in one directory do not cost each other.
   */
  #nameAlone(parent: Ino, outcomes: ReadonlyMap<Slot, readonly Outcome[]>): boolean {
    const losers = [...outcomes.values()].flat().filter(({ name }) => name === undefined);
    if (losers.length === 0 && ![...outcomes.keys()].some(isMarked)) return true;
    if (this.#isCrowded(parent)) return false;
    const freed = new Set([...outcomes.keys()].flatMap(({ shown }) => shown.map(({ name }) => name)));
    const taken = new Set<Name>();
    for (const [{ base }, outcome] of outcomes) {
      if (outcome.length === 0) continue;
      taken.add(base);
      if (base.includes(SUFFIX_MARK) && !freed.has(base) && this.#store.lookup(parent, base)) return false;
    }
    for (const loser of losers) {
      const name = suffixedName(loser.base, loser.entry, 1, this.#sites, this.#actors);
      if (taken.has(name) || (!freed.has(name) && this.#store.lookup(parent, name))) return false;
      taken.add(name);
      loser.name = name;
    }
    return true;
  }

  /** Whether some loser of a directory could not have its first choice of a name. Looked up once, then known. */
  #isCrowded(parent: Ino): boolean {
    let crowded = this.#crowded.get(parent);
    if (crowded === undefined) {
      const bases = this.#store.contestedNames(parent);
      crowded = bases.some((base) =>
        this.#store.claims(parent, base).some(({ shown }) => shown !== null && shown !== base && !isFirstChoice(shown)),
      );
      this.#crowded.set(parent, crowded);
    }
    return crowded;
  }

  #decideAll(parent: Ino, slots: Slots): Map<Slot, Outcome[]> {
    return new Map(slots.loadedIn(parent).map((slot) => [slot, this.#decide(slot)]));
  }

  #decide(slot: Slot): Outcome[] {
    const claimants = slot.members.filter((member) => this.#store.alias(member.ino) === undefined);
    const { winner, losers, hidden } = contest(claimants, this.#store, this.#actors);
    if (winner === undefined) return [];
    return [
      this.#outcome(winner, slot.base),
      ...losers.map((claimant) => this.#outcome(claimant, undefined)),
      ...hidden.map((claimant) => this.#outcome(claimant, null)),
      ...[winner, ...losers].flatMap((claimant) => this.#copies(claimant, slot)),
    ];
  }

  #outcome(claimant: Claimant, name: Name | null | undefined): Outcome {
    const { ino, link, entry, directory, name: base, revived, contended } = claimant;
    const type = directory ? DIRECTORY_DIRENT_TYPE : direntType(typeOf(this.#store.inode(ino)!)!);
    return { ino, link, type, base, entry, name, copyOf: undefined, isNoteworthy: revived || contended };
  }

  /** The copies of a file, shown where its first link is. */
  #copies({ ino, directory }: Claimant, slot: Slot): Outcome[] {
    const inode = this.#store.inode(ino)!;
    const heads = inode.registers.get('head') ?? [];
    if (directory || heads.length < 2) return [];
    const first = fileClaims(inode, this.#actors)[0]!;
    if (first.name !== slot.base || this.tree.home(first.parent) !== slot.parent) return [];
    return losingVersions(inode, this.#store).map((version) => ({
      ino: version.copyIno,
      link: FIRST_LINK,
      type: REGULAR_DIRENT_TYPE,
      base: slot.base,
      entry: heads.find((head) => sameOp(head, version))!,
      name: undefined,
      copyOf: { source: ino, counter: version.counter, actor: version.actor },
      isNoteworthy: true,
    }));
  }

  /** Names all losers of a directory, whose contested slots are all loaded. */
  #nameTogether(parent: Ino, slots: Slots, outcomes: ReadonlyMap<Slot, readonly Outcome[]>): void {
    const losers = [...outcomes.values()].flat().filter(({ name }) => name === undefined);
    const isClaimed = (name: Name): boolean => {
      const slot = slots.loaded(parent, name);
      if (slot) return outcomes.get(slot)!.length > 0;
      const dirent = this.#store.lookup(parent, name);
      return dirent !== undefined && slots.isGenuine(dirent);
    };
    let crowded = false;
    for (const [name, loser] of nameLosers(losers, isClaimed, this.#sites, this.#actors)) {
      loser.name = name;
      crowded ||= !isFirstChoice(name);
    }
    this.#crowded.set(parent, crowded);
  }

  #edit(parent: Ino, outcomes: ReadonlyMap<Slot, readonly Outcome[]>, tally: Tally): void {
    const before = new Map<Name, Dirent>();
    const after = new Map<Name, Dirent>();
    for (const [slot, outcome] of outcomes) {
      for (const dirent of slot.shown) {
        before.set(dirent.name, dirent);
        if (this.#store.copy(dirent.ino)) tally.copiesBefore.add(dirent.ino);
        else this.#countLink(dirent, -1, tally);
      }
      for (const { ino, link, type, name, copyOf } of outcome) {
        if (typeof name !== 'string') continue;
        const dirent = { parent, name, ino, link, type };
        after.set(name, dirent);
        if (copyOf) tally.copies.set(ino, copyOf);
        else this.#countLink(dirent, 1, tally);
      }
      this.#setClaims(slot, outcome);
    }
    for (const [name, dirent] of before) if (!after.has(name)) this.#editor.deleteDirent(dirent);
    for (const [name, dirent] of after) {
      const was = before.get(name);
      if (!was || !isSameDirent(was, dirent)) this.#editor.setDirent(dirent, was);
    }
  }

  #countLink({ ino, type }: Dirent, by: 1 | -1, { links }: Tally): void {
    if (type !== DIRECTORY_DIRENT_TYPE) links.set(ino, (links.get(ino) ?? 0) + by);
  }

  #setClaims(slot: Slot, outcome: readonly Outcome[]): void {
    const isNoteworthy = outcome.length > 1 || outcome.some((one) => one.isNoteworthy);
    if (!isNoteworthy && slot.stored.length === 0) return;
    const claims = outcome.map(({ ino, link, name }): Claim => ({ ino, link, shown: name! }));
    this.#store.setClaims(slot.parent, slot.base, isNoteworthy ? claims : []);
  }

  #settleTally({ links, copiesBefore, copies }: Tally): void {
    for (const ino of copiesBefore) if (!copies.has(ino)) this.#store.setCopy(ino, undefined);
    for (const [ino, copy] of copies) {
      const was = this.#store.copy(ino);
      if (was?.source === copy.source && sameOp(was, copy)) continue;
      this.#store.setCopy(ino, copy);
      this.#editor.noteInode(ino, true);
    }
    for (const [ino, by] of links) if (by !== 0) this.#editor.addLinks(this.#store.inode(ino)!, by);
  }

  /** The link counts of what is of another type than it was, from what is shown now. */
  #countRetyped(liveness: Liveness): void {
    this.#editor.settleDirectories();
    for (const ino of this.affected.retyped) {
      const inode = this.#store.inode(ino)!;
      let links = liveness.claims(inode).filter((claim) => this.#isShown(claim)).length;
      if (isDirectory(inode) && (links > 0 || ino === ROOT_INO)) {
        links = 2;
        for (const { type } of direntsOf(this.#store, ino)) if (type === DIRECTORY_DIRENT_TYPE) links++;
      }
      this.#editor.addLinks(inode, links - inode.nlink);
    }
  }

  #isShown({ parent, name, ino, link }: Claimant): boolean {
    const home = this.tree.home(parent);
    const claims = this.#store.claims(home, name);
    if (claims.length > 0)
      return claims.some((claim) => claim.ino === ino && claim.link === link && claim.shown !== null);
    const dirent = this.#store.lookup(home, name);
    return dirent?.ino === ino && dirent.link === link;
  }
}

/** Whether suffixed names may depend on this slot. */
function isMarked({ base, shown }: Slot): boolean {
  return base.includes(SUFFIX_MARK) || shown.some(({ name }) => name !== base);
}

function isSameDirent(a: Dirent, b: Dirent): boolean {
  return a.ino === b.ino && a.link === b.link && a.type === b.type;
}

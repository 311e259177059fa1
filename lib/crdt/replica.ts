// replica.ts — the sole mutator of replicated state: applies register writes and keeps the visible tree equal to their projection.
// Invariant: after apply() the tree equals projection.ts's view of all registers, whatever the order, batching or duplication of
// causally delivered writes. What is uncontested is shown at once, at the cost of the names it touches; the rest is left to
// projector.ts, once per batch. Total: conflicts are data, not errors.

import type { Before } from './affected.js';
import { hasContestedAttributes } from './attribute-conflicts.js';
import type { DirectoryTree } from './directory-tree.js';
import { LINK_PREFIX, direntType, linkOfField, parseBorn, timeOfStamp } from './fields.js';
import type { Born, FileType } from './fields.js';
import { isDirectory, memoOf, typeOf } from './inode-attributes.js';
import { FIRST_LINK, ROOT_INO, VOLUME_INO } from './ids.js';
import type { ActorTable, Ino, OpId } from './ids.js';
import { Inode } from './inode.js';
import type { Entry } from './inode.js';
import type { Value } from './change.js';
import { SUFFIX_MARK } from './names.js';
import { claimOfLink, directoryPlacement, isPlacedFile, readPlacementAgain, withClaim } from './placement.js';
import type { Claimant } from './placement.js';
import { Projector } from './projector.js';
import { writeRegister } from './register.js';
import { TreeEditor } from './tree-editor.js';
import type { Dirent, TreeStore } from './tree-store.js';
import type { ViewChange } from './view-change.js';

/** One register write, identified. Local writes carry the stamp of the commit that is open. */
export interface RegisterWrite {
  readonly ino: Ino;
  readonly field: string;
  readonly value: Value;
  readonly counter: number;
  readonly actor: number;
  readonly stamp: number;
  /** The entries that it overwrites. One that is not there (any more) is no error. */
  readonly pred: readonly OpId[];
}

const NO_CLAIMS: readonly Claimant[] = [];

export class Replica {
  readonly #store: TreeStore;
  readonly #actors: ActorTable;
  readonly #editor: TreeEditor;
  readonly #tree: DirectoryTree;
  readonly #projector: Projector;
  #sitesChanged = false;

  constructor(store: TreeStore, actors: ActorTable) {
    this.#store = store;
    this.#actors = actors;
    this.#editor = new TreeEditor(store);
    this.#projector = new Projector(store, actors, this.#editor);
    this.#tree = this.#projector.tree;
  }

  /**
   * Applies a batch of writes, then brings the tree up to date once for all of them. Total: conflicts are data, and a batch whose
   * parents came before it never throws. A write whose op is already in the register is a no-op (duplicate delivery).
   */
  apply(writes: Iterable<RegisterWrite>): ViewChange[] {
    for (const write of writes) this.#write(write);
    this.#projector.project(this.#sitesChanged);
    this.#sitesChanged = false;
    return this.#editor.finish();
  }

  #write(write: RegisterWrite): void {
    const { ino, field } = write;
    const known = this.#store.inode(ino);
    const inode = known ?? newInode(ino, write.stamp);
    const before = inode.registers.get(field);
    const after = writeRegister(before, write, this.#actors);
    if (after === before) return;
    if (known) this.#store.touch(inode);
    else this.#store.insert(inode);

    if (ino === VOLUME_INO) {
      inode.write(field, after);
      this.#sitesChanged = true;
      return;
    }
    // ctime is at least as late as every change seen.
    if (write.stamp > inode.ctime.s * 1e6 + inode.ctime.ns / 1000) inode.ctime = timeOfStamp(write.stamp);
    if (field.startsWith(LINK_PREFIX) || field === 'into' || field === 'born') {
      this.#writePlacement(inode, field, after);
    } else if (field === 'head') {
      this.#writeHead(inode, before, after);
    } else {
      inode.write(field, after);
      forgetAttributes(inode);
      if (after.length > 1 || (before !== undefined && before.length > 1))
        this.#store.setAttributeContest(ino, hasContestedAttributes(inode));
      this.#editor.noteInode(ino, false);
      if (!isDirectory(inode)) this.#recheckContests(inode);
    }
  }

  #writePlacement(inode: Inode, field: string, after: readonly Entry[]): void {
    const { ino } = inode;
    const { affected } = this.#projector;
    if (inode.registers.size === 0 && field === 'born') {
      // Nothing of it can be placed yet.
      inode.write(field, after);
      this.#bear(inode, { claims: NO_CLAIMS, parent: undefined }, undefined);
      return;
    }
    const isAffected = ino === ROOT_INO || affected.has(ino);
    const claims = isAffected ? NO_CLAIMS : this.#tree.claims(inode);
    const parent = isAffected ? undefined : this.#tree.parent(inode);
    const count = claims.length;
    const link = field.startsWith(LINK_PREFIX) ? linkOfField(field) : FIRST_LINK;
    const claim = claimOfLink(claims, link);
    const type = typeOf(inode);
    inode.write(field, after);
    const isInPlace = readPlacementAgain(inode, field);
    this.#editor.noteInode(ino, false);
    if (field === 'born') this.#bear(inode, { claims, parent }, type);
    if (isAffected || affected.has(ino)) return;
    // A file that has several names before and after is hidden behind no equal one: its other names are what they were.
    if (isInPlace && count > 1 && claims.length > 1) {
      if (this.#placeLink(inode, claim, claimOfLink(claims, link))) return;
      affected.add(ino, { claims: withClaim(claims, link, claim), parent });
      return;
    }
    const before = isInPlace ? withClaim(claims, link, claim) : claims;
    if (!this.#place(inode, before, parent)) affected.add(ino, { claims: before, parent });
  }

  /** @param type what it was before, if it was born */
  #bear(inode: Inode, before: Before, type: FileType | undefined): void {
    forgetAttributes(inode);
    this.#editor.noteInode(inode.ino, false);
    const born = parseBorn(inode.registers.get('born')![0]!.value);
    inode.atime = born.btime;
    if (inode.ino === ROOT_INO) inode.nlink = Math.max(inode.nlink, 2);
    // A conflict copy became a file of its own: its source shows that version no more.
    const source = this.#store.inode(this.#store.copy(inode.ino)?.source ?? VOLUME_INO);
    if (source && source.ino !== VOLUME_INO) this.#affect(source);
    if (type === undefined ? !this.#isNamed(inode, born) : type === born.type) return;
    // No site names what is not born, or bears a file once more as a directory; a member that is broken or hostile can.
    const { affected } = this.#projector;
    affected.add(inode.ino, before);
    affected.retyped.add(inode.ino);
    inode.nlink = 0; // so that nothing is placed in it, or taken out of it, at once
    this.#editor.noteInode(inode.ino, true);
  }

  /** Of what was just born: whether it has several names already, or something is placed in it or merged into it. */
  #isNamed(inode: Inode, { type, parent, name }: Born): boolean {
    const { ino } = inode;
    if (type !== 'd') return inode.registers.size > 2 && this.#tree.claims(inode).length > 1;
    if (this.#store.hasEntries(ino) || this.#store.aliasesOf(ino).length > 0) return true;
    return name !== '' && this.#tree.mayDescendFrom(parent, ino);
  }

  /** Leaves an inode whose placement did not change to the projector. */
  #affect(inode: Inode): void {
    const claims = this.#tree.claims(inode).slice();
    this.#projector.affected.add(inode.ino, { claims, parent: this.#tree.parent(inode) });
  }

  #writeHead(inode: Inode, before: readonly Entry[] | undefined, after: readonly Entry[]): void {
    // A directory, to which no site writes a version, claims nothing by it; what the store says of its place may be of older registers.
    const claims = isDirectory(inode) ? NO_CLAIMS : this.#tree.claims(inode);
    inode.write('head', after);
    forgetAttributes(inode);
    this.#editor.noteInode(inode.ino, manifestIn(before?.[0]) !== manifestIn(after[0]));
    if (isDirectory(inode)) return;
    if (!isPlacedFile(inode, this.#actors)) memoOf(inode).placement = undefined;
    const claimsNow = this.#tree.claims(inode);
    const isConflict = after.length > 1 || (before !== undefined && before.length > 1);
    if (claims.length === 0 && claimsNow.length === 0) return;
    if (isConflict || claims !== claimsNow) {
      this.#projector.affected.add(inode.ino, { claims: claims.slice(), parent: undefined });
    } else {
      this.#recheckContests(inode);
    }
  }

  /** What is hidden behind an equal file, or has one behind it, may be equal no more; its copies look like it. */
  #recheckContests(inode: Inode): void {
    const claims = this.#tree.claims(inode);
    for (const { parent, name } of claims) {
      if (this.#store.claims(this.#tree.home(parent), name).length === 0) continue;
      this.#affect(inode);
      break;
    }
    if ((inode.registers.get('head')?.length ?? 0) < 2) return;
    for (const copy of this.#store.copiesOf(inode.ino)) this.#editor.noteInode(copy, false);
  }

  /**
   * Shows at once what is uncontested before and after.
   * @param before its claims in the tree
   * @param parent of a directory: where it was
   * @returns false, with the tree untouched, when the projector must decide
   */
  #place(inode: Inode, before: readonly Claimant[], parent: Ino | undefined): boolean {
    // A copy that becomes a file: the store's tree still shows it as a copy.
    if (this.#store.copy(inode.ino)) return false;
    if (isDirectory(inode)) return this.#placeDirectory(inode, before[0], parent);
    const after = this.#tree.claims(inode);
    if (hasVersionsInConflict(inode)) return before.length === 0 && after.length === 0;
    return this.#placeClaims(inode, before, after);
  }

  /** Likewise of a file with several names, for one of them. */
  #placeLink(inode: Inode, before: Claimant | undefined, after: Claimant | undefined): boolean {
    if (this.#store.copy(inode.ino) || hasVersionsInConflict(inode)) return false;
    return this.#placeClaims(inode, before ? [before] : NO_CLAIMS, after ? [after] : NO_CLAIMS);
  }

  /** @param before, after claims of the inode; those that are not among them stay as they are */
  #placeClaims(inode: Inode, before: readonly Claimant[], after: readonly Claimant[]): boolean {
    for (const claim of before) {
      const kept = placeIn(after, claim);
      if (kept ? !this.#isUncontested(claim) || !isPlain(kept) : !this.#isRemovable(claim)) return false;
    }
    for (const claim of after) if (!placeIn(before, claim) && !this.#isFree(claim)) return false;

    let links = 0;
    for (const claim of before) {
      if (placeIn(after, claim)) continue;
      this.#editor.deleteDirent(this.#direntOf(claim, inode));
      links--;
    }
    for (const claim of after) {
      if (placeIn(before, claim)) continue;
      this.#editor.setDirent(this.#direntOf(claim, inode), undefined);
      links++;
    }
    if (links !== 0) this.#editor.addLinks(inode, links);
    return true;
  }

  /** What an uncontested claim is shown as. */
  #direntOf({ parent, name, ino, link }: Claimant, inode: Inode): Dirent {
    return { parent: this.#tree.home(parent), name, ino, link, type: direntType(typeOf(inode)!) };
  }

  #placeDirectory(inode: Inode, before: Claimant | undefined, oldParent: Ino | undefined): boolean {
    const { ino, registers } = inode;
    const store = this.#store;
    if (store.deferred().size > 0 || registers.has('into') || (before && !isPlain(before))) return false;
    if (store.alias(ino) !== undefined || store.aliasesOf(ino).length > 0) return false;
    const { first, placed, contended } = directoryPlacement(inode);
    if (contended) return false;
    // What is not shown is above nothing that is shown, and isFree() asks for a parent that is.
    if (before && first.parent !== oldParent && this.#tree.mayDescendFrom(first.parent, ino)) return false;
    const after = placed ? this.#tree.claim(inode)! : undefined;
    if (!before && !after) return first.parent === oldParent;
    if (before && after && isSamePlace(before, after)) return this.#isUncontested(before);
    if (before && !this.#isRemovable(before)) return false;
    if (after ? !this.#isFree(after) : store.hasEntries(ino)) return false;
    if (before) this.#editor.deleteDirent(this.#direntOf(before, inode));
    if (after) this.#editor.setDirent(this.#direntOf(after, inode), undefined);
    this.#editor.settleDirectories();
    return true;
  }

  /** Whether nobody else claims this name, and no suffixed name depends on it. */
  #isUncontested({ parent, name }: Claimant): boolean {
    const home = this.#tree.home(parent);
    if (this.#store.claims(home, name).length > 0) return false;
    return !name.includes(SUFFIX_MARK) || this.#store.contestedNames(home).length === 0;
  }

  /** Whether this claim can leave the tree with no other effect. */
  #isRemovable(claim: Claimant): boolean {
    if (!isPlain(claim) || !this.#isUncontested(claim)) return false;
    const home = this.#tree.home(claim.parent);
    const directory = this.#store.inode(home);
    // A removed directory may live by what it holds.
    if (!directory || (home !== ROOT_INO && !(isDirectory(directory) && directoryPlacement(directory).placed)))
      return false;
    const dirent = this.#store.lookup(home, claim.name);
    return dirent?.ino === claim.ino && dirent.link === claim.link;
  }

  /** Whether this claim can enter the tree with no other effect: its directory is shown, its name is free. */
  #isFree(claim: Claimant): boolean {
    if (!isPlain(claim)) return false;
    const home = this.#tree.home(claim.parent);
    const directory = this.#store.inode(home);
    if (!directory || directory.nlink === 0 || !isDirectory(directory)) return false;
    return this.#isUncontested(claim) && this.#store.lookup(home, claim.name) === undefined;
  }
}

/** The manifest id at the start of a head's value. */
function manifestIn(head: Entry | undefined): string | undefined {
  return head && String(head.value).slice(0, 64);
}

function isPlain(claim: Claimant): boolean {
  return !claim.revived && !claim.contended;
}

function hasVersionsInConflict(inode: Inode): boolean {
  return (inode.registers.get('head')?.length ?? 0) > 1;
}

/** The claim of the same link to the same name. */
function placeIn(claims: readonly Claimant[], claim: Claimant): Claimant | undefined {
  for (const other of claims) if (isSamePlace(other, claim)) return other;
  return undefined;
}

function newInode(ino: Ino, stamp: number): Inode {
  const time = timeOfStamp(stamp);
  return new Inode(ino, new Map(), 0, time, time);
}

function forgetAttributes(inode: Inode): void {
  if (inode.memo !== undefined) memoOf(inode).attributes = undefined;
}

function isSamePlace(a: Claimant, b: Claimant): boolean {
  return a.link === b.link && a.parent === b.parent && a.name === b.name;
}

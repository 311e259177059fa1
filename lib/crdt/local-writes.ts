// local-writes.ts — the register writes of local operations, and what an operation on something in conflict settles with them.
// Invariant: after the writes the tree shows what the caller of the operation expects: what was removed is gone, what was not
// touched keeps its name. So a conflict is closed by ordinary calls (MERGE.md principle 6). Pure: drafts out, nothing is applied.
//
// A function reads the tree as it stands: apply the drafts of one call before the next call, all within one commit. The drafts
// of one call write each register once. Who may do what, and POSIX errors, are the volume's.

import { headsLike, losingVersions } from './copies.js';
import { DirectoryTree } from './directory-tree.js';
import {
  formatBirthPlace,
  formatBorn,
  formatHead,
  formatInto,
  formatMovedPlace,
  formatOp,
  formatTombstone,
  formatXattr,
  isTombstone,
  LINK_PREFIX,
  linkField,
  parseInto,
  parseLink,
  xattrField,
} from './fields.js';
import type { FileType, Head } from './fields.js';
import { attributesOf, citedHeads, isDirectory, xattrNames, xattrOf } from './inode-attributes.js';
import type { HeadVersion } from './inode-attributes.js';
import type { Value } from './change.js';
import { FIRST_LINK, ROOT_INO } from './ids.js';
import type { ActorTable, Ino, LinkId, Name, OpId } from './ids.js';
import type { Inode, Timestamp } from './inode.js';
import { claimOfLink } from './placement.js';
import type { Claimant } from './placement.js';
import { CITES_MAX } from './register-schema.js';
import { sameOp } from './register.js';
import type { Claim, Dirent, TreeStore } from './tree-store.js';

/** A register write to which the volume gives an op id, a stamp and, unless `bases` says which, all current entries as pred. */
export interface WriteDraft {
  readonly ino: Ino;
  readonly field: string;
  readonly value: Value;
  readonly bases?: readonly OpId[];
}

/** The tree as it stands. */
export interface LocalTree {
  readonly store: TreeStore;
  readonly actors: ActorTable;
  /** Whether this site has written to a file what is no version yet: it only seems equal to what it is hidden behind. */
  readonly isWritten?: (ino: Ino) => boolean;
  /** Whether {@link isWritten}, or a program of this site has it open and may write yet. */
  readonly mayBeWritten?: (ino: Ino) => boolean;
}

export interface Creation {
  readonly ino: Ino;
  readonly type: FileType;
  readonly parent: Ino;
  /** Undefined for O_TMPFILE. */
  readonly name: Name | undefined;
  readonly btime: Timestamp;
  /** 12 bits. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Of devices, in new_encode_dev form. */
  readonly rdev?: number;
  /** Of symlinks. */
  readonly target?: string;
  /** Inherited attributes (ACLs): name → value. */
  readonly xattrs?: ReadonlyMap<string, string>;
}

/** A new inode; its link comes last, so that it is shown complete. Does not write the parent's `times`. */
export function createWrites(creation: Creation): WriteDraft[] {
  const { ino, type, parent, name, btime, mode, uid, gid, rdev, target, xattrs } = creation;
  const drafts: WriteDraft[] = [
    {
      ino,
      field: 'born',
      value: formatBorn({ type, parent, name: name ?? '', btime, mode, uid, gid, rdev: rdev ?? 0 }),
    },
  ];
  if (target !== undefined) drafts.push({ ino, field: 'target', value: target });
  for (const [key, value] of xattrs ?? []) drafts.push({ ino, field: xattrField(key), value: formatXattr(value) });
  if (name !== undefined) {
    drafts.push({ ino, field: linkField(FIRST_LINK), value: formatBirthPlace(parent, name) });
  }
  return drafts;
}

/**
 * link(2), and linkat(2) of an O_TMPFILE. Conflict copies are shown beside the link with the lowest number: where that is the new one,
 * they become files of their own, under the names that they have.
 * @param link 0 for the first link of an O_TMPFILE, else a fresh inode number
 * @param reserve gives a fresh inode number
 */
export function placeLink(
  tree: LocalTree,
  inode: Inode,
  link: LinkId,
  parent: Ino,
  name: Name,
  reserve: () => Ino,
): WriteDraft[] {
  const drafts: WriteDraft[] = [];
  const first = claimsOf(tree, inode)[0];
  if (first && link < first.link) {
    drafts.push(...partWithCopies(tree, inode, copiesAmong(tree, inode, rivalsOf(tree, first)), reserve));
  }
  drafts.push({ ino: inode.ino, field: linkField(link), value: formatMovedPlace(homeOf(tree, parent), name) });
  return drafts;
}

/**
 * unlink(2), rmdir(2), the victim of a rename. What is shown beside it under a suffixed name keeps that name, as a file of its
 * own; equal files hidden behind it, and directories merged into it, are removed with it.
 * @param reserve gives a fresh inode number
 */
export function removeLink(tree: LocalTree, inode: Inode, link: LinkId, reserve: () => Ino): WriteDraft[] {
  const claims = claimsOf(tree, inode);
  const claim = claimOfLink(claims, link);
  if (!claim) return [];
  const drafts = leaveName(tree, claim, false, reserve);
  const { parent, name } = placeOf(tree, claim);
  const cites = isDirectory(inode) ? [] : citedHeads(inode, tree.actors);
  drafts.push({ ino: inode.ino, field: linkField(link), value: formatTombstone(parent, name, cites) });
  if (isDirectory(inode)) {
    for (const member of mergedByName(tree, inode.ino)) {
      drafts.push({ ino: member, field: linkField(FIRST_LINK), value: formatTombstone(parent, name, []) });
    }
  } else if (isSameName(tree, claim, claims[0]!)) {
    // The copies are shown beside this link. After the last link the tombstone, which cites every version, drops them.
    const versions = losingVersions(inode, tree.store);
    const isLast = claims.every((other) => isSameName(tree, claim, other));
    if (isLast) for (const version of versions) drafts.push(...copyBirth(tree, inode, version, reserve));
    else drafts.push(...partWithCopies(tree, inode, versions, reserve));
  }
  return settleDeferred(tree, citeWithLastNames(tree, drafts), true);
}

/**
 * rename(2) of a link; remove the victim first, if there is one. Conflict copies move with it, rivals beside it keep their
 * suffixed names, equal files hidden behind it are removed, and merges into a directory become permanent, to outlive the rename.
 */
export function moveLink(
  tree: LocalTree,
  inode: Inode,
  link: LinkId,
  parent: Ino,
  name: Name,
  reserve: () => Ino,
): WriteDraft[] {
  const claim = claimOfLink(claimsOf(tree, inode), link);
  if (!claim) return placeLink(tree, inode, link, parent, name, reserve);
  const drafts = leaveName(tree, claim, true, reserve);
  if (isDirectory(inode)) drafts.push(...settleAlias(tree, inode.ino));
  const value = formatMovedPlace(homeOf(tree, parent), name, placeOf(tree, claim));
  drafts.push({ ino: inode.ino, field: linkField(link), value });
  return settleDeferred(tree, citeWithLastNames(tree, drafts), false);
}

/** RENAME_EXCHANGE of two entries, neither of them a conflict copy: each link is placed where the other is shown. */
export function exchangeLinks(tree: LocalTree, a: Dirent, b: Dirent, reserve: () => Ino): WriteDraft[] {
  const drafts: WriteDraft[] = [];
  for (const [from, to] of [
    [a, b],
    [b, a],
  ] as const) {
    const inode = tree.store.inode(from.ino)!;
    const claim = claimsOf(tree, inode).find((other) => other.link === from.link);
    if (!claim) return [];
    drafts.push(...leaveName(tree, claim, true, reserve, to.ino));
    if (isDirectory(inode)) drafts.push(...settleAlias(tree, inode.ino));
    const value = formatMovedPlace(to.parent, to.name, placeOf(tree, claim));
    drafts.push({ ino: from.ino, field: linkField(from.link), value });
  }
  return settleDeferred(tree, drafts, false);
}

/**
 * Before a write to a file (content or attributes): removes the equal files that are hidden behind it. What is still to be written to one
 * of them would be lost with it, and nobody asked for that.
 */
export function settleBeforeWrite(tree: LocalTree, ino: Ino): WriteDraft[] {
  const inode = tree.store.hasContests ? tree.store.inode(ino) : undefined;
  if (!inode || isDirectory(inode)) return [];
  const drafts = claimsOf(tree, inode).flatMap((claim) => {
    const rivals = rivalsOf(tree, claim);
    if (rivals[0]?.ino !== ino) return [];
    return removeHidden(tree, claim, (hidden) => hidden.ino !== ino && !tree.mayBeWritten?.(hidden.ino));
  });
  return citeWithLastNames(tree, drafts);
}

/**
 * Before a namespace operation inside a directory that was removed elsewhere and came back (or on a file that did): places it and
 * its ancestors of that kind for good, where they are shown.
 */
export function settleRevived(tree: LocalTree, ino: Ino): WriteDraft[] {
  const drafts: WriteDraft[] = [];
  for (let at = tree.store.inode(homeOf(tree, ino)); at && at.ino !== ROOT_INO;) {
    const claim: Claimant | undefined = claimsOf(tree, at)[0];
    if (!claim) break;
    if (claim.revived) drafts.push(placeForGood(tree, claim));
    at = tree.store.inode(placeOf(tree, claim).parent);
  }
  return settleDeferred(tree, drafts, true);
}

/** Makes the merges into this directory permanent. moveLink does it itself. */
export function settleAlias(tree: LocalTree, canonical: Ino): WriteDraft[] {
  return mergedByName(tree, canonical).map((ino) => ({ ino, field: 'into', value: formatInto(canonical) }));
}

/**
 * Before a conflict copy is edited, renamed, linked or changed in any way: makes it an ordinary file with the same inode number, at
 * the name it is shown under, and takes the version from the file that it lost to.
 */
export function settleCopy(tree: LocalTree, copyIno: Ino, reserve: () => Ino): WriteDraft[] {
  const copy = copyAt(tree, copyIno);
  if (!copy) return [];
  return [...keepName(tree, copy.source), ...partWithCopies(tree, copy.source, [copy.version], reserve)];
}

/**
 * Who of several files that came back under one name has it follows from their latest versions: one of which a version is said again is
 * placed where it is shown before that.
 */
function keepName(tree: LocalTree, file: Inode): WriteDraft[] {
  return claimsOf(tree, file).flatMap((claim) => (claim.revived ? placeForGood(tree, claim) : []));
}

/** unlink(2) of a conflict copy: drops that version. */
export function removeCopy(tree: LocalTree, copyIno: Ino): WriteDraft[] {
  const copy = copyAt(tree, copyIno);
  return copy ? [...keepName(tree, copy.source), dropVersions(copy.source, [copy.version])] : [];
}

/** What a new version of a file overwrites: the version that it shows, not those shown as copies. */
export function shownHeads(inode: Inode): OpId[] {
  const heads = inode.registers.get('head') ?? [];
  const shown = heads.length < 2 ? heads : headsLike(inode, attributesOf(inode).head!);
  return shown.map(({ counter, actor }) => ({ counter, actor }));
}

/**
 * A version that holds what these versions of a file hold, in their place. It says what people wrote that is in it: so it is known
 * to be nothing new, and merges of merges are known for what they are.
 */
export function mergeVersions(
  tree: LocalTree,
  file: Inode,
  versions: readonly HeadVersion[],
  result: Omit<Head, 'merged'>,
): WriteDraft[] {
  const merged = new Set<string>();
  for (const version of versions.flatMap((one) => headsLike(file, one))) {
    const { counter, actor } = version;
    for (const op of version.merged ?? [formatOp(counter, tree.actors.id(actor))]) merged.add(op);
  }
  if (merged.size > CITES_MAX) return [];
  return [writeOver(file, versions, formatHead({ ...result, merged: [...merged].toSorted() }))];
}

function homeOf(tree: LocalTree, parent: Ino): Ino {
  return tree.store.alias(parent) ?? parent;
}

export function claimsOf(tree: LocalTree, inode: Inode): readonly Claimant[] {
  return new DirectoryTree(tree.store, tree.actors).claims(inode);
}

/** The place that a claim asks for, by the directory that is shown. */
function placeOf(tree: LocalTree, { parent, name }: Claimant): { parent: Ino; name: Name } {
  return { parent: homeOf(tree, parent), name };
}

function isSameName(tree: LocalTree, a: Claimant, b: Claimant): boolean {
  return a.name === b.name && homeOf(tree, a.parent) === homeOf(tree, b.parent);
}

/** Everyone who claims the same name, the claim itself included; empty when there is no conflict. */
function rivalsOf(tree: LocalTree, claim: Claimant): readonly Claim[] {
  return tree.store.claims(homeOf(tree, claim.parent), claim.name);
}

/** Directories merged into this one as long as both have their name by birth. */
function mergedByName(tree: LocalTree, canonical: Ino): Ino[] {
  const directories = new DirectoryTree(tree.store, tree.actors);
  return tree.store.aliasesOf(canonical).filter((ino) => directories.into(ino) === undefined);
}

/**
 * What must be settled before a claim leaves its name: the inode's other links there, and, if it has the name, its rivals.
 * @param isMove equal files that are hidden behind it go with it, but for those that are still to be written to
 * @param except a rival that the caller places itself
 */
function leaveName(tree: LocalTree, claim: Claimant, isMove: boolean, reserve: () => Ino, except?: Ino): WriteDraft[] {
  const rivals = rivalsOf(tree, claim);
  const { parent, name } = placeOf(tree, claim);
  const hasName = rivals[0]?.ino === claim.ino;
  const drafts = removeHidden(tree, claim, (hidden) =>
    hidden.ino === claim.ino ? hidden.link !== claim.link : hasName && !(isMove && tree.mayBeWritten?.(hidden.ino)),
  );
  // The claim itself may be the hidden one of two links of its inode: then the shown one goes.
  for (const rival of rivals) {
    if (rival.ino === claim.ino && rival.link !== claim.link && rival.shown !== null) {
      drafts.push(tombstone(tree, rival, { parent, name }));
    }
  }
  if (!hasName) return drafts;
  for (const { ino, link, shown } of rivals) {
    if (ino === claim.ino || ino === except || shown === null || tree.store.copy(ino)) continue;
    const loser = tree.store.inode(ino)!;
    const value = formatMovedPlace(parent, shown, { parent, name });
    drafts.push({ ino, field: linkField(link), value });
    if (isDirectory(loser)) {
      drafts.push(...settleAlias(tree, ino));
      continue;
    }
    drafts.push(...partWithCopies(tree, loser, copiesAmong(tree, loser, rivals), reserve));
  }
  return drafts;
}

/**
 * Adds what keeps directories where these drafts put them: moves that are deferred, and that would now be possible at their cost, are
 * given up. A rename lets those take effect whose obstacle it moves away; anything else (`strict`) leaves all others where they are.
 */
export function settleDeferred(tree: LocalTree, drafts: WriteDraft[], strict: boolean): WriteDraft[] {
  const deferred = tree.store.deferred();
  if (deferred.size === 0) return drafts;
  const directories = new DirectoryTree(tree.store, tree.actors);
  const moves = new Map<Ino, Ino>();
  for (const { ino, field, value } of drafts) {
    const inode = tree.store.inode(ino);
    if (!inode || !isDirectory(inode)) continue;
    if (field === linkField(FIRST_LINK)) moves.set(ino, parseLink(value).parent);
    else if (field === 'into') moves.set(ino, parseInto(value));
  }
  if (moves.size === 0) return drafts;
  const effect = directories.effectOnDeferred(moves);
  if (effect === 'none' || (effect === 'some' && !strict)) return drafts;
  for (const ino of deferred.keys()) {
    if (moves.has(ino)) continue;
    const inode = tree.store.inode(ino)!;
    const [claim] = directories.claims(inode);
    if (!claim) continue;
    drafts.push(placeForGood(tree, claim));
    if (inode.registers.has('into')) drafts.push({ ino, field: 'into', value: formatInto(ino) });
  }
  return drafts;
}

/** Places a link by an ordinary write where it is shown. */
export function placeForGood(tree: LocalTree, claim: Claimant): WriteDraft {
  const { ino, link } = claim;
  const place = placeOf(tree, claim);
  const shown = rivalsOf(tree, claim).find((rival) => rival.ino === ino && rival.link === link)?.shown ?? place.name;
  return { ino, field: linkField(link), value: formatMovedPlace(place.parent, shown, place) };
}

/** The versions of a file whose conflict copies are among those who claim one name. */
function copiesAmong(tree: LocalTree, file: Inode, rivals: readonly Claim[]): HeadVersion[] {
  return losingVersions(file, tree.store).filter(({ copyIno }) => rivals.some(({ ino }) => ino === copyIno));
}

/** Removes claimants that are not shown: links of the same inode, and other inodes unless somebody writes to them. */
function removeHidden(tree: LocalTree, claim: Claimant, which: (hidden: Claim) => boolean): WriteDraft[] {
  const place = placeOf(tree, claim);
  return rivalsOf(tree, claim)
    .filter(
      (rival) => rival.shown === null && which(rival) && (rival.ino === claim.ino || !tree.isWritten?.(rival.ino)),
    )
    .map((rival) => tombstone(tree, rival, place));
}

/**
 * A removal says which versions it had seen only when it takes a file's last name: who removes one of several does away with no bytes,
 * whatever becomes of the other names elsewhere.
 */
function citeWithLastNames(tree: LocalTree, drafts: readonly WriteDraft[]): WriteDraft[] {
  const links = new Map<Ino, { removed: Set<string>; placed: boolean }>();
  for (const { ino, field, value } of drafts) {
    if (!field.startsWith(LINK_PREFIX)) continue;
    const inode = links.get(ino) ?? { removed: new Set(), placed: false };
    links.set(ino, inode);
    if (isTombstone(value)) inode.removed.add(field);
    else inode.placed = true;
  }
  return drafts.map((draft) => {
    const inode = tree.store.inode(draft.ino);
    if (!inode || !draft.field.startsWith(LINK_PREFIX) || !isTombstone(draft.value)) return draft;
    const { removed, placed } = links.get(draft.ino)!;
    const isLast = !placed && claimsOf(tree, inode).every(({ link }) => removed.has(linkField(link)));
    if (isLast) return draft;
    const { parent, name } = parseLink(draft.value);
    return { ...draft, value: formatTombstone(parent, name, []) };
  });
}

function tombstone(tree: LocalTree, { ino, link }: Claim, place: { parent: Ino; name: Name }): WriteDraft {
  const cites = citedHeads(tree.store.inode(ino)!, tree.actors);
  return { ino, field: linkField(link), value: formatTombstone(place.parent, place.name, cites) };
}

function copyAt(tree: LocalTree, copyIno: Ino): { source: Inode; version: HeadVersion } | undefined {
  const copy = tree.store.copy(copyIno);
  const source = copy && tree.store.inode(copy.source);
  const version = source && attributesOf(source).heads.find((head) => sameOp(head, copy));
  return version && { source, version };
}

/** Conflict copies become files of their own, and the file that they lost to has these versions no more. */
function partWithCopies(
  tree: LocalTree,
  file: Inode,
  versions: readonly HeadVersion[],
  reserve: () => Ino,
): WriteDraft[] {
  if (versions.length === 0) return [];
  return [...versions.flatMap((version) => copyBirth(tree, file, version, reserve)), dropVersions(file, versions)];
}

/** A copy becomes a file under the name that it is shown with, looking as it did. */
function copyBirth(tree: LocalTree, source: Inode, version: HeadVersion, reserve: () => Ino): WriteDraft[] {
  const { copyIno: ino } = version;
  const { mode, uid, gid, btime } = attributesOf(source);
  const first = claimsOf(tree, source)[0]!;
  const name = rivalsOf(tree, first).find((rival) => rival.ino === ino)!.shown!;
  const xattrs = new Map(xattrNames(source).map((key) => [key, xattrOf(source, key)!]));
  const { parent } = placeOf(tree, first);
  const drafts = createWrites({ ino, type: 'f', parent, name, btime, mode, uid, gid, xattrs });
  const head = formatHead({ ...version, copyIno: reserve(), merged: undefined });
  return [...drafts.slice(0, -1), { ino, field: 'head', value: head }, drafts.at(-1)!];
}

/** The winning version said again, over itself and the versions that go. The file looks as before: same bytes, same mtime. */
function dropVersions(source: Inode, versions: readonly HeadVersion[]): WriteDraft {
  const { head, mtime } = attributesOf(source);
  return writeOver(source, [head!, ...versions], formatHead({ ...head!, mtime, merged: undefined }));
}

/** A version instead of these and all that say the same. */
function writeOver(file: Inode, versions: readonly HeadVersion[], value: string): WriteDraft {
  const bases = versions.flatMap((version) => headsLike(file, version));
  return { ino: file.ino, field: 'head', value, bases: bases.map(({ counter, actor }) => ({ counter, actor })) };
}

// placement.ts — what an inode's own registers say about where it is: the claims of a file, the candidate places of a directory.
// Invariant: a pure reading of one inode, memoized; which candidate holds (directory-tree.ts), whether a removed directory is
// alive (liveness.ts) and which name a claim gets (names.ts) depend on others. MERGE.md "Order of projection" (1) and (2).

import {
  LINK_PREFIX,
  formatOp,
  isTombstone,
  linkOfField,
  mergedIn,
  parseBorn,
  parseInto,
  parseLink,
} from './fields.js';
import { isDirectory, memoOf, typeOf } from './inode-attributes.js';
import type { LinkValue } from './fields.js';
import { FIRST_LINK, ROOT_INO } from './ids.js';
import type { ActorTable, Ino, LinkId, Name } from './ids.js';
import type { Entry, Inode } from './inode.js';
import { compareEntries } from './register.js';

/** A link that asks for a name in a directory. */
export interface Claimant {
  readonly ino: Ino;
  readonly link: LinkId;
  /** The directory that the register names; it may be merged into another. */
  readonly parent: Ino;
  readonly name: Name;
  /** The write that put it there; of a revived file its content, of what is at its place of birth as a last resort the birth. */
  readonly entry: Entry;
  readonly directory: boolean;
  /** Removed, and given back because someone changed it meanwhile. */
  readonly revived: boolean;
  /** A directory where it was made: such ones of one name merge. */
  readonly birth: boolean;
  /** The register was written by several at once. */
  readonly contended: boolean;
}

/** A place where a directory may be. */
export interface Candidate {
  readonly parent: Ino;
  readonly name: Name;
  /** `parent` is the directory that it is merged into, and `name` means nothing. Into itself is into none. */
  readonly into: boolean;
  readonly entry: Entry;
  /** The place of birth as a fallback: earlier than any move. */
  readonly lowest: boolean;
  /** The winning value of the link, and a place of birth. */
  readonly birth: boolean;
}

/** Where a directory may be. All but the best candidate are read only when they are asked for, which is rare. */
export class DirectoryPlacement {
  /** Some value of its link is a place, or it is the root. */
  readonly placed: boolean;
  readonly contended: boolean;
  /** The best candidate. */
  readonly first: Candidate;
  readonly #inode: Inode;

  constructor(inode: Inode, placed: boolean, contended: boolean, first: Candidate) {
    this.#inode = inode;
    this.placed = placed;
    this.contended = contended;
    this.first = first;
  }

  /** Best first. The last is in the root and can be on no cycle. */
  get candidates(): readonly Candidate[] {
    return readCandidates(this.#inode);
  }
}

interface FilePlacement {
  readonly placed: boolean;
  readonly claims: readonly Claimant[];
}

const NOWHERE: readonly Claimant[] = [];
const NO_WRITE: Entry = { counter: 0, actor: 0, stamp: 0, value: '' };

function readFile(inode: Inode, actors: ActorTable): FilePlacement {
  const claims: Claimant[] = [];
  let wasRemoved = false;
  for (const [field, entries] of inode.registers) {
    if (!field.startsWith(LINK_PREFIX)) continue;
    const entry = entries.find(({ value }) => !isTombstone(value));
    if (entry) {
      const value = parseLink(entry.value);
      claims.push(claimOf(inode.ino, linkOfField(field), value, entry, false, entries.length > 1));
    } else {
      wasRemoved = true;
    }
  }
  if (claims.length > 1) claims.sort((a, b) => a.link - b.link);
  if (claims.length > 0) return { placed: true, claims };
  const revived = wasRemoved ? revivedClaim(inode, actors) : undefined;
  return { placed: false, claims: revived ? [revived] : NOWHERE };
}

/**
 * Of a file that was removed everywhere: its last place, when it has content that those who removed it had not seen. The write of
 * that content gives it back, so a suffix names who wrote it, not who removed the file.
 */
function revivedClaim(inode: Inode, actors: ActorTable): Claimant | undefined {
  const heads = inode.registers.get('head');
  if (heads === undefined || typeOf(inode) !== 'f') return undefined;
  const cites = new Set<string>();
  let last: { readonly link: LinkId; readonly entry: Entry; readonly value: LinkValue } | undefined;
  for (const [field, entries] of inode.registers) {
    if (!field.startsWith(LINK_PREFIX)) continue;
    for (const entry of entries) {
      const value = parseLink(entry.value);
      if (value.kind === 'tombstone') for (const cite of value.cites) cites.add(cite);
      if (!last || compareEntries(entry, last.entry, actors) > 0) last = { link: linkOfField(field), entry, value };
    }
  }
  // A merge brings nothing new: it was seen by whoever saw all that it is made of.
  const unseen = heads.find((head) => {
    if (cites.has(formatOp(head.counter, actors.id(head.actor)))) return false;
    const merged = mergedIn(head.value);
    return merged.length === 0 || merged.some((op) => !cites.has(op));
  });
  return unseen && claimOf(inode.ino, last!.link, last!.value, unseen, true, false);
}

function claimOf(
  ino: Ino,
  link: LinkId,
  { parent, name }: LinkValue,
  entry: Entry,
  revived: boolean,
  contended: boolean,
): Claimant {
  return { ino, link, parent, name, entry, directory: false, revived, birth: false, contended };
}

/** The claims of what is no directory, by link id. A removed file whose data was written meanwhile has one, revived. */
export function fileClaims(inode: Inode, actors: ActorTable): readonly Claimant[] {
  const memo = memoOf(inode);
  return ((memo.placement ??= readFile(inode, actors)) as FilePlacement).claims;
}

/** Where in claims that are sorted by link, as a file's are, that of a link is, or would be. */
function indexOfLink(claims: readonly Claimant[], link: LinkId): number {
  let low = 0;
  let high = claims.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (claims[middle]!.link < link) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The claim of one of an inode's links. Among thousands: each name that comes or goes asks. */
export function claimOfLink(claims: readonly Claimant[], link: LinkId): Claimant | undefined {
  const claim = claims[indexOfLink(claims, link)];
  return claim?.link === link ? claim : undefined;
}

/**
 * To be called after a register that places the inode was written: what is known of its place is read again. Of a file that has names
 * only the link that was written is, for a backup tree's files have thousands.
 * @returns whether that was done in place: who keeps claims over a write keeps a copy
 */
export function readPlacementAgain(inode: Inode, field: string): boolean {
  const memo = memoOf(inode);
  if (memo.placement !== undefined && field.startsWith(LINK_PREFIX) && !isDirectory(inode)) {
    const { placed, claims } = memo.placement as FilePlacement;
    const link = linkOfField(field);
    const entries = inode.registers.get(field)!;
    const entry = entries.find(({ value }) => !isTombstone(value));
    const claim = entry && claimOf(inode.ino, link, parseLink(entry.value), entry, false, entries.length > 1);
    // Without a name left it may be a revived file.
    if (placed && (claim || claims.some((other) => other.link !== link))) {
      replaceClaim(claims as Claimant[], link, claim);
      return true;
    }
  }
  memo.placement = undefined;
  return false;
}

/** A copy of a file's claims in which the claim of one link is another one, or is not there. */
export function withClaim(claims: readonly Claimant[], link: LinkId, claim: Claimant | undefined): readonly Claimant[] {
  const copy = claims.slice();
  replaceClaim(copy, link, claim);
  return copy;
}

function replaceClaim(claims: Claimant[], link: LinkId, claim: Claimant | undefined): void {
  const at = indexOfLink(claims, link);
  const isThere = claims[at]?.link === link;
  if (isThere && claim) claims[at] = claim;
  else if (isThere) claims.splice(at, 1);
  else if (claim) claims.splice(at, 0, claim);
}

/** Whether a head that is written to this file cannot change its claims. */
export function isPlacedFile(inode: Inode, actors: ActorTable): boolean {
  fileClaims(inode, actors);
  return (memoOf(inode).placement as FilePlacement).placed;
}

function readDirectory(inode: Inode): DirectoryPlacement {
  const entries = inode.registers.get('link:0');
  const [entry] = entries ?? [];
  if (entries?.length === 1 && !inode.registers.has('into')) {
    // Nearly every directory: one value, whose place it holds.
    const value = parseLink(entry!.value);
    const { parent, name } = value;
    const birth = value.kind === 'place' && !value.moved;
    const first: Candidate = { parent, name, into: false, entry: entry!, lowest: false, birth };
    return new DirectoryPlacement(inode, value.kind === 'place' || inode.ino === ROOT_INO, false, first);
  }
  const placed = entries?.some(({ value }) => !isTombstone(value)) ?? false;
  const contended = (entries?.length ?? 0) > 1;
  return new DirectoryPlacement(inode, placed || inode.ino === ROOT_INO, contended, readCandidates(inode)[0]!);
}

export function directoryPlacement(inode: Inode): DirectoryPlacement {
  const memo = memoOf(inode);
  return (memo.placement ??= readDirectory(inode)) as DirectoryPlacement;
}

function readCandidates(inode: Inode): Candidate[] {
  const candidates: Candidate[] = [];
  const plain = { into: false, lowest: false, birth: false };
  const entry = inode.registers.get('into')?.[0];
  const into = entry && parseInto(entry.value);
  if (into !== undefined && into !== inode.ino) {
    candidates.push({ ...plain, parent: into, name: '', into: true, entry: entry! });
  }
  const values = (inode.registers.get('link:0') ?? []).map((write) => ({
    entry: write,
    value: parseLink(write.value),
  }));
  let placed = false;
  for (const { entry: write, value } of values) {
    if (value.kind !== 'place') continue;
    const { parent, name } = value;
    candidates.push({ ...plain, parent, name, entry: write, birth: !placed && !value.moved });
    placed = true;
  }
  for (const { entry: write, value } of values) {
    const { kind, parent, name } = value;
    if (kind === 'tombstone') candidates.push({ ...plain, parent, name, entry: write });
  }
  for (const { entry: write, value } of values) {
    if (value.kind === 'place' && value.prev) candidates.push({ ...plain, ...value.prev, entry: write });
  }
  const bornEntry = inode.registers.get('born')?.[0];
  const born = bornEntry && parseBorn(bornEntry.value);
  const last = { ...plain, entry: bornEntry ?? NO_WRITE, lowest: true };
  if (born && born.name !== '') candidates.push({ ...last, parent: born.parent, name: born.name });
  // Honest births form no cycle, for a parent is born before its children; this one holds whatever a change may say.
  const name = candidates.find((candidate) => !candidate.into)?.name ?? String(inode.ino);
  candidates.push({ ...last, parent: ROOT_INO, name });
  return candidates;
}

/** The candidate at `cursor`, 0 being the best. */
export function candidateAt(inode: Inode, cursor: number): Candidate {
  const placement = directoryPlacement(inode);
  return cursor === 0 ? placement.first : placement.candidates[cursor]!;
}

/** The claim of a directory that holds its `cursor`-th candidate, if it is no merge. */
export function directoryClaim(inode: Inode, cursor: number): Claimant | undefined {
  const { placed, contended } = directoryPlacement(inode);
  const { parent, name, entry, into, birth } = candidateAt(inode, cursor);
  if (into) return undefined;
  const isBirth = birth && cursor === 0 && placed;
  return {
    ino: inode.ino,
    link: FIRST_LINK,
    parent,
    name,
    entry,
    directory: true,
    revived: !placed,
    birth: isBirth,
    contended,
  };
}

/** Negative when `a` has the better right to a name: what nobody removed, then directories, then the later write. */
export function compareClaimants(a: Claimant, b: Claimant, actors: ActorTable): number {
  return (
    Number(a.revived) - Number(b.revived) ||
    Number(b.directory) - Number(a.directory) ||
    compareEntries(b.entry, a.entry, actors) ||
    a.link - b.link ||
    a.ino - b.ino
  );
}

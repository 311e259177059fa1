// names.ts — who gets a name that several claim, and what the others are called.
// Invariant: a function of the claimants' registers alone; every name given out is unique in its directory and at most 255 bytes.
// A loser is shown as NAME.~SITE-xxxx; SITE wrote what lost, xxxx comes from the losing stamp. MERGE.md principles 5 and 7.

import { isDirectory, attributesOf, typeOf, xattrNames, xattrOf } from './inode-attributes.js';
import { VOLUME_INO } from './ids.js';
import type { ActorTable, Ino, LinkId, Name } from './ids.js';
import type { Entry, Inode } from './inode.js';
import { compareClaimants, fileClaims } from './placement.js';
import type { Claimant } from './placement.js';
import { compareEntries } from './register.js';
import { NAME_MAX } from './register-schema.js';
import type { RegisterStore } from './tree-store.js';

/** Every suffixed name has it, so a name without it can clash with none. */
export const SUFFIX_MARK = '.~';
const UNKNOWN_SITE = '?';
/** So that something of the name is left beside the longest site name. */
const SITE_BYTES_MAX = 64;
const BASE32 = 'abcdefghijklmnopqrstuvwxyz234567';

/** The names of sites as they appear in suffixes, from the volume's own registers. */
export class SiteNames {
  readonly #store: RegisterStore;
  readonly #actors: ActorTable;
  readonly #byActor = new Map<number, Name>();

  constructor(store: RegisterStore, actors: ActorTable) {
    this.#store = store;
    this.#actors = actors;
  }

  /** The name of the site of an actor, as bytes that a file name may hold; '?' when it is not known. */
  of(actor: number): Name {
    let name = this.#byActor.get(actor);
    if (name === undefined) {
      name = this.#read(actor);
      if (name !== UNKNOWN_SITE) this.#byActor.set(actor, name);
    }
    return name;
  }

  /** The volume's registers changed. */
  forget(): void {
    this.#byActor.clear();
  }

  #read(actor: number): Name {
    const registers = this.#store.inode(VOLUME_INO)?.registers;
    const site = registers?.get(`actor:${this.#actors.id(actor)}`)?.[0]?.value;
    const name = registers?.get(`site:${site}`)?.[0]?.value;
    if (typeof name !== 'string' || name === '') return UNKNOWN_SITE;
    const bytes = Buffer.from(name, 'utf8').toString('latin1');
    return cutBytes(bytes.replace(FORBIDDEN, '_'), SITE_BYTES_MAX);
  }
}

// oxlint-disable-next-line no-control-regex -- NUL is what is looked for
const FORBIDDEN = /[/\u0000]/g;

/** At most `max` bytes of a name, not ending within a UTF-8 character. */
function cutBytes(name: Name, max: number): Name {
  if (name.length <= max) return name;
  let end = max;
  for (let back = 0; back < 3 && end > 1 && (name.charCodeAt(end) & 0xc0) === 0x80; back++) end--;
  // A name of continuation bytes only is no UTF-8: cut it anywhere.
  return name.slice(0, (name.charCodeAt(end) & 0xc0) === 0x80 ? max : end);
}

/** 32 bits of a string (FNV-1a with MurmurHash3's finalizer). */
function hash32(text: string, seed: number): number {
  let hash = (0x811c9dc5 ^ seed) >>> 0;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

/** What tells this write from others: 4 letters of a hash at first, more and at last the op itself in later rounds. */
function distinction(entry: Entry, round: number, actors: ActorTable): string {
  const op = `${entry.counter}@${actors.id(entry.actor)}`;
  const text = `${entry.stamp} ${op}`;
  let letters = '';
  for (let i = 0; i < Math.min(round, 3); i++) {
    let bits = hash32(text, i);
    for (let n = 0; n < 4; n++, bits >>>= 5) letters += BASE32[bits & 31];
  }
  return round <= 3 ? letters : `${letters}-${op}-${round}`;
}

/** The name of a loser in the given round, 1 being the first. Whoever loses it tries the next round's. */
export function suffixedName(base: Name, entry: Entry, round: number, sites: SiteNames, actors: ActorTable): Name {
  const suffix = `${SUFFIX_MARK}${sites.of(entry.actor)}-${distinction(entry, round, actors)}`;
  return cutBytes(base, NAME_MAX - suffix.length) + suffix;
}

/** Whether a suffixed name is one of the first round. */
export function isFirstChoice(name: Name): boolean {
  return /-[a-z2-7]{4}$/.test(name);
}

/** A file's content and attributes, one name and no other version: what may be hidden behind its equal. */
function isSimple(inode: Inode, actors: ActorTable): boolean {
  const { heads } = attributesOf(inode);
  return fileClaims(inode, actors).length === 1 && heads.every((head) => head.manifest === heads[0]!.manifest);
}

/** Whether `hidden` need not be shown beside `shown`: same type, content, permissions, owner and attributes. */
export function isEqualFile(hidden: Inode, shown: Inode, actors: ActorTable): boolean {
  if (isDirectory(hidden) || typeOf(hidden) !== typeOf(shown) || !isSimple(hidden, actors)) return false;
  const a = attributesOf(hidden);
  const b = attributesOf(shown);
  if (a.head?.manifest !== b.head?.manifest || a.target !== b.target || a.rdev !== b.rdev) return false;
  if (a.mode !== b.mode || a.uid !== b.uid || a.gid !== b.gid) return false;
  const names = xattrNames(hidden);
  const others = xattrNames(shown);
  return (
    names.length === others.length &&
    names.every((name, i) => name === others[i] && xattrOf(hidden, name) === xattrOf(shown, name))
  );
}

/** How the claimants of one name fare. */
export interface Contest {
  /** Shown under the name itself; undefined when nobody claims it. */
  readonly winner: Claimant | undefined;
  /** Not shown: equal to the winner, or another link of an inode that is shown here already. */
  readonly hidden: readonly Claimant[];
  /** Shown under suffixed names, best first. */
  readonly losers: readonly Claimant[];
}

/** Decides between the claimants of one name; merged directories are one claimant. */
export function contest(claimants: readonly Claimant[], store: RegisterStore, actors: ActorTable): Contest {
  if (claimants.length <= 1) return { winner: claimants[0], hidden: [], losers: [] };
  const [winner, ...rest] = claimants.toSorted((a, b) => compareClaimants(a, b, actors));
  const hidden: Claimant[] = [];
  const losers: Claimant[] = [];
  for (const claimant of rest) {
    const isShown = claimant.ino === winner!.ino || losers.some((loser) => loser.ino === claimant.ino);
    if (isShown || isEqualFile(store.inode(claimant.ino)!, store.inode(winner!.ino)!, actors)) hidden.push(claimant);
    else losers.push(claimant);
  }
  return { winner, hidden, losers };
}

/** Something that must be shown under a suffixed name. */
export interface Suffixed {
  readonly ino: Ino;
  readonly link: LinkId;
  readonly base: Name;
  /** The write that lost. */
  readonly entry: Entry;
}

/**
 * Names everything that lost in one directory, in rounds: a name of an earlier round stands, and within a round the later write has it.
 * @param isClaimed whether some claimant has this very name
 */
export function nameLosers<T extends Suffixed>(
  losers: readonly T[],
  isClaimed: (name: Name) => boolean,
  sites: SiteNames,
  actors: ActorTable,
): Map<Name, T> {
  const named = new Map<Name, T>();
  let unnamed = losers.toSorted((a, b) => compareEntries(b.entry, a.entry, actors) || a.ino - b.ino || a.link - b.link);
  for (let round = 1; unnamed.length > 0; round++) {
    const next: T[] = [];
    for (const loser of unnamed) {
      const name = suffixedName(loser.base, loser.entry, round, sites, actors);
      if (named.has(name) || isClaimed(name)) next.push(loser);
      else named.set(name, loser);
    }
    unnamed = next;
  }
  return named;
}

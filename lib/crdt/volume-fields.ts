// volume-fields.ts — the volume's own registers: its sites and their keys, named snapshots, and how long old versions are kept.
// Invariant: format(parse(x)) === x, as in fields.ts.
//
//   site:<id>     the name that a site came with, which is in the names of conflict copies for good    name:<id>   its name since
//     actor:<id>   the site whose run it is      slot:<n>   the site that claimed the inode numbers
//   key:<id>      <identity>: the site's public key, as its SHA-256 in 64 hex digits
//   role:<id>     read-write, read-only <changes> or retired <changes>: those of its changes that count all the same, as in snap; `-`: none
//   address:<id>  HOST:PORT,…: where the site listens; '': nowhere
//   snap:<name>   <actor>:<seq>,…   by actor: the highest change of each that belongs to it; `-`: deleted
//   keep          [age=<s>] [count=<n>] [bytes=<n>]   in this order, separated by blanks; what is not there is not limited

import { CorruptionError } from '../codec/bytes.js';
import type { Value, VersionVector } from './change.js';
import { parseInteger } from './fields.js';
import type { ActorId } from './ids.js';

export const SITE_PREFIX = 'site:';
export const NAME_PREFIX = 'name:';
export const ACTOR_PREFIX = 'actor:';
export const SLOT_PREFIX = 'slot:';
export const KEY_PREFIX = 'key:';
export const ROLE_PREFIX = 'role:';
export const ADDRESS_PREFIX = 'address:';
export const SNAPSHOT_PREFIX = 'snap:';
export const RETENTION_FIELD = 'keep';
const DELETED = '-';
/** No change at all. */
const NOTHING = '-';
const ACTOR = /^[0-9a-f]{32}$/;
const IDENTITY = /^[0-9a-f]{64}$/;
/** What lib/sync/address.ts takes apart: here it only has to be short and printable. */
const ADDRESSES = /^[\x21-\x2b\x2d-\x7e]{1,300}(,[\x21-\x2b\x2d-\x7e]{1,300}){0,7}$/;
const NAME_MAX = 64;
// oxlint-disable-next-line no-control-regex -- control characters are what is looked for
const NO_NAME = /^[.-]|[/@\u0000-\u001f\u007f]|\p{Surrogate}/u;

/** How much of the past is kept; what is undefined is not limited. */
export interface Retention {
  /** Seconds since a version was replaced or removed. */
  readonly age?: number;
  /** Old versions of one file. */
  readonly count?: number;
  /** Of all old versions together, by their sizes. */
  readonly bytes?: number;
}

const LIMITS = ['age', 'count', 'bytes'] as const;

/** @throws {CorruptionError} when it is no identity */
export function parseIdentity(value: Value): string {
  if (!IDENTITY.test(String(value))) throw new CorruptionError(`key: malformed value ${quoted(value)}`);
  return String(value);
}

/** From the loosest to the strictest. */
export const ROLE_KINDS = ['read-write', 'read-only', 'retired'] as const;
export type RoleKind = (typeof ROLE_KINDS)[number];

/** What a site may do. */
export interface Role {
  readonly kind: RoleKind;
  /** Where its sequences are closed: by actor the highest change that counts. Empty for one that may write. */
  readonly cut: VersionVector;
}

export function formatRole({ kind, cut }: Role): string {
  if (kind === 'read-write') return kind;
  return `${kind} ${cut.size === 0 ? NOTHING : formatSnapshot(cut)}`;
}

export function parseRole(value: Value): Role {
  const [kind = '', cut] = String(value).split(' ', 2);
  const role = ROLE_KINDS.find((known) => known === kind);
  if (role === 'read-write' && cut === undefined) return { kind: role, cut: new Map() };
  if (role === undefined || role === 'read-write' || cut === undefined || String(value) !== `${kind} ${cut}`) {
    throw new CorruptionError(`role: malformed value ${quoted(value)}`);
  }
  return { kind: role, cut: cut === NOTHING ? new Map() : parseSnapshot(cut)! };
}

export function formatAddresses(addresses: readonly string[]): string {
  return addresses.join(',');
}

export function parseAddresses(value: Value): string[] {
  if (value === '') return [];
  if (!ADDRESSES.test(String(value))) throw new CorruptionError(`address: malformed value ${quoted(value)}`);
  return String(value).split(',');
}

/** What is wrong with the name of a snapshot, or undefined. */
export function snapshotNameError(name: string): string | undefined {
  if (name.length === 0 || name.length > NAME_MAX) return `a name of 1 to ${NAME_MAX} characters is asked for`;
  return NO_NAME.test(name) ? "no '/', '@' or control character, and no '.' or '-' at its beginning" : undefined;
}

export function snapshotField(name: string): string {
  return SNAPSHOT_PREFIX + name;
}

export function formatSnapshot(vector: VersionVector): string {
  return [...vector]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([actor, seq]) => `${actor}:${seq}`)
    .join(',');
}

/** What a deletion writes. */
export function formatDeletedSnapshot(): string {
  return DELETED;
}

/** @returns undefined when it says that the snapshot was deleted */
export function parseSnapshot(value: Value): Map<ActorId, number> | undefined {
  if (value === DELETED) return undefined;
  const vector = new Map<ActorId, number>();
  let last = '';
  for (const part of String(value).split(',')) {
    const actor = part.slice(0, 32);
    const seq = parseInteger(part.slice(33), 'snap');
    if (!ACTOR.test(actor) || part.charAt(32) !== ':' || actor <= last || seq < 1) {
      throw new CorruptionError(`snap: malformed value ${quoted(value)}`);
    }
    vector.set(actor, seq);
    last = actor;
  }
  return vector;
}

export function formatRetention(retention: Retention): string {
  return LIMITS.filter((limit) => retention[limit] !== undefined)
    .map((limit) => `${limit}=${retention[limit]}`)
    .join(' ');
}

export function parseRetention(value: Value): Retention {
  const retention: Partial<Record<(typeof LIMITS)[number], number>> = {};
  for (const part of value === '' ? [] : String(value).split(' ')) {
    const limit = LIMITS.find((name) => part.startsWith(`${name}=`));
    if (!limit) throw new CorruptionError(`keep: malformed value ${quoted(value)}`);
    retention[limit] = parseInteger(part.slice(limit.length + 1), 'keep');
  }
  if (formatRetention(retention) !== value) {
    throw new CorruptionError(`keep: malformed value ${quoted(value)}`);
  }
  return retention;
}

function quoted(value: Value): string {
  return JSON.stringify(value).slice(0, 200);
}

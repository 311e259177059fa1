// snapshots.ts — what the volume's own registers say about its past: named snapshots, and how long old versions are kept.
// Invariant: format(parse(x)) === x, as in fields.ts. A snapshot is the changes that its maker had, so it is complete at every site that
// knows of it (a change comes after those it builds on) and needs nobody's consent. Two of one name are both kept.
//
//   snap:<name>   <actor>:<seq>,…   by actor: the highest change of each that belongs to it; `-`: deleted
//   keep          [age=<s>] [count=<n>] [bytes=<n>]   in this order, separated by blanks; what is not there is not limited

import { CorruptionError } from '../codec/bytes.js';
import type { Value, VersionVector } from './change.js';
import { parseInteger } from './fields.js';
import type { ActorId, ActorTable, OpId } from './ids.js';
import type { Entry, Inode } from './inode.js';

export const SNAPSHOT_PREFIX = 'snap:';
export const RETENTION_FIELD = 'keep';
const DELETED = '-';
const ACTOR = /^[0-9a-f]{32}$/;
const NAME_MAX = 64;
// oxlint-disable-next-line no-control-regex -- control characters are what is looked for
const NO_NAME = /^[.-]|[/@\u0000-\u001f\u007f]|\p{Surrogate}/u;

/** A snapshot as people know it. */
export interface Snapshot {
  /** Its name; with `@SITE` behind it where another of that name was made later, or at the same time. */
  readonly name: string;
  /** The name as it was given. */
  readonly base: string;
  /** The site that made it; '?' when its name is not known. */
  readonly site: string;
  /** Microseconds since 1970. */
  readonly stamp: number;
  readonly vector: VersionVector;
  /** The entry of the register. */
  readonly op: OpId;
}

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
      throw new CorruptionError(`snap: malformed value ${JSON.stringify(value).slice(0, 200)}`);
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
    if (!limit) throw new CorruptionError(`keep: malformed value ${JSON.stringify(value).slice(0, 200)}`);
    retention[limit] = parseInteger(part.slice(limit.length + 1), 'keep');
  }
  if (formatRetention(retention) !== value) {
    throw new CorruptionError(`keep: malformed value ${JSON.stringify(value).slice(0, 200)}`);
  }
  return retention;
}

/** What the volume keeps; everything, while nobody said otherwise. */
export function retentionOf(volume: Inode | undefined): Retention {
  const value = volume?.registers.get(RETENTION_FIELD)?.[0]?.value;
  return value === undefined ? {} : parseRetention(value);
}

/** The name of the site that an actor is a run of, as it was given; '?' when it is not known. */
export function siteOfActor(volume: Inode | undefined, actor: ActorId): string {
  const site = volume?.registers.get(`actor:${actor}`)?.[0]?.value;
  const name = volume?.registers.get(`site:${site}`)?.[0]?.value;
  return typeof name === 'string' ? name : '?';
}

/** The snapshots that there are, by name; of one name the latest first, which alone bears it without its site. */
export function snapshotsOf(volume: Inode | undefined, actors: ActorTable): Snapshot[] {
  const snapshots: Snapshot[] = [];
  const fields = [...(volume?.registers.keys() ?? [])].filter((field) => field.startsWith(SNAPSHOT_PREFIX));
  for (const field of fields.toSorted()) {
    const base = field.slice(SNAPSHOT_PREFIX.length);
    const names = new Set<string>();
    for (const entry of volume!.registers.get(field)!) {
      const vector = parseSnapshot(entry.value);
      if (!vector) continue;
      const site = siteOfActor(volume, actors.id(entry.actor));
      const name = names.size === 0 ? base : freeName(`${base}@${site}`, names);
      names.add(name);
      snapshots.push({ name, base, site, stamp: entry.stamp, vector, op: opOf(entry) });
    }
  }
  return snapshots;
}

/** By its name, or by its name and site, which also leads to one that bears its name alone. */
export function findSnapshot(snapshots: readonly Snapshot[], name: string): Snapshot | undefined {
  return (
    snapshots.find((snapshot) => snapshot.name === name) ??
    snapshots.find((snapshot) => `${snapshot.base}@${snapshot.site}` === name)
  );
}

function freeName(name: string, taken: ReadonlySet<string>): string {
  let free = name;
  for (let n = 2; taken.has(free); n++) free = `${name}.${n}`;
  return free;
}

function opOf({ counter, actor }: Entry): OpId {
  return { counter, actor };
}

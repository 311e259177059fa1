// snapshots.ts — the named snapshots that there are, and what the volume keeps of its past, as its own registers say.
// Invariant: a snapshot is the changes that its maker had, so it is complete at every site that knows of it (a change comes after
// those it builds on) and needs nobody's consent. Two of one name are both kept, told apart by their sites.

import type { VersionVector } from './change.js';
import type { ActorId, ActorTable, OpId } from './ids.js';
import type { Entry, Inode } from './inode.js';
import { SUFFIX_MARK } from './names.js';
import { parseRetention, parseSnapshot, RETENTION_FIELD, SNAPSHOT_PREFIX } from './volume-fields.js';
import type { Retention } from './volume-fields.js';

/** A snapshot as people know it. */
export interface Snapshot {
  /** Its name; with `.~SITE` behind it where another of that name was made later, or at the same time. */
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
      const name = names.size === 0 ? base : freeName(`${base}${SUFFIX_MARK}${site}`, names);
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
    snapshots.find((snapshot) => `${snapshot.base}${SUFFIX_MARK}${snapshot.site}` === name)
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

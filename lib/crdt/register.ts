// register.ts — a multi-value register: the set of concurrent values, winner first.
// Invariant: entries are sorted by (stamp, actor id, counter) descending, each op once. Arrays are never changed in place: what
// was read before a write stays what it was. Causal delivery is the caller's: an op that was overwritten does not come again
// alone (in a replay it comes together with what overwrote it).

import type { Value } from './change.js';
import type { ActorTable, OpId } from './ids.js';
import type { Entry } from './inode.js';

/** What a write brings to a register. */
export interface EntryWrite extends Entry {
  /** The entries that it overwrites; one that is not there (any more) is no error. */
  readonly pred: readonly OpId[];
}

const NO_ENTRIES: readonly Entry[] = [];

/** Positive when a is the later write: higher stamp, then actor id, then counter. */
export function compareEntries(a: Entry, b: Entry, actors: ActorTable): number {
  return a.stamp - b.stamp || actors.compare(a.actor, b.actor) || a.counter - b.counter;
}

export function sameOp(a: OpId, b: OpId): boolean {
  return a.counter === b.counter && a.actor === b.actor;
}

/** A plain copy, so that no reference to the caller's object is kept. */
function entryOf(write: EntryWrite): Entry {
  return { counter: write.counter, actor: write.actor, stamp: write.stamp, value: write.value satisfies Value };
}

/** The entries after a write; `entries` itself when it changes nothing. */
export function writeRegister(
  entries: readonly Entry[] = NO_ENTRIES,
  write: EntryWrite,
  actors: ActorTable,
): readonly Entry[] {
  const { pred } = write;
  if (entries.length === 0) return [entryOf(write)];
  if (entries.length === 1 && pred.length === 1 && sameOp(entries[0]!, pred[0]!)) return [entryOf(write)];

  const kept = entries.filter((entry) => !pred.some((op) => sameOp(op, entry)));
  if (kept.some((entry) => sameOp(entry, write))) return kept.length === entries.length ? entries : kept;
  const entry = entryOf(write);
  const at = kept.findIndex((other) => compareEntries(other, entry, actors) < 0);
  return at < 0 ? [...kept, entry] : kept.toSpliced(at, 0, entry);
}

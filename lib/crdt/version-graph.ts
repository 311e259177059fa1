// version-graph.ts — the versions of one file as a graph, each version pointing to those that its writer saw and overwrote.
// Registers keep only what nobody overwrote; a merge also asks what the concurrent versions have in common. Pure: whoever has the
// history passes it in. The search is git's (paint_down_to_common in commit-reach.c), by operation counters, which never go down.

import type { Head } from './fields.js';
import type { ActorTable, OpId } from './ids.js';

/** A content version, current or overwritten. */
export interface Version extends OpId {
  /** Microseconds. */
  readonly stamp: number;
  readonly head: Head;
  /** The versions that it overwrote. */
  readonly preds: readonly OpId[];
}

/** The version that an operation wrote; undefined when it is not known here. */
export type VersionLookup = (op: OpId) => Version | undefined;

const LEFT = 1;
const RIGHT = 2;
const BOTH = LEFT | RIGHT;
/** Below a common one: common too, but not the nearest. */
const STALE = 4;
/** Versions looked at before giving up. */
const STEPS_MAX = 10_000;

/**
 * The nearest versions that both sides go back to: none of them is an ancestor of another. A side is one or more versions, and what
 * they go back to together. Empty when they have nothing in common; undefined when the history is not known that far.
 */
export function nearestCommonVersions(
  left: readonly Version[],
  right: readonly Version[],
  lookup: VersionLookup,
  actors: ActorTable,
): Version[] | undefined {
  const paint = new Map<string, number>();
  /** Ascending: the last is the next. */
  const queue: Version[] = [];
  const common: Version[] = [];
  const push = (version: Version, colour: number): void => {
    const key = keyOf(version);
    const before = paint.get(key);
    if (before !== undefined && (before | colour) === before) return;
    paint.set(key, (before ?? 0) | colour);
    if (before !== undefined && queue.includes(version)) return;
    const at = queue.findLastIndex((other) => compareVersions(other, version, actors) < 0);
    queue.splice(at + 1, 0, version);
  };
  for (const version of left) push(version, LEFT);
  for (const version of right) push(version, RIGHT);
  for (let steps = 0; queue.some((version) => !(paint.get(keyOf(version))! & STALE)); steps++) {
    if (steps === STEPS_MAX) return undefined;
    const version = queue.pop()!;
    let colour = paint.get(keyOf(version))!;
    if ((colour & BOTH) === BOTH && !(colour & STALE)) {
      common.push(version);
      colour |= STALE;
    }
    for (const pred of version.preds) {
      const known = lookup(pred);
      // What is below a common version is not asked for, unless it is another one that is known.
      if (!known && colour & STALE) continue;
      if (!known) return undefined;
      push(known, colour);
    }
  }
  return common;
}

function keyOf(op: OpId): string {
  return `${op.counter}@${op.actor}`;
}

/** An order in which whoever saw a version comes after it: the same at every site. */
function compareVersions(a: OpId, b: OpId, actors: ActorTable): number {
  return a.counter - b.counter || actors.compare(a.actor, b.actor);
}

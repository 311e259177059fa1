// version-vector.ts — what a site holds: per actor the highest seq, without gaps. Pure.

import type { ActorId } from '../crdt/ids.js';
import type { VersionVector } from '../crdt/change.js';

/** Whether `vector` holds all that `other` holds. */
export function covers(vector: VersionVector, other: VersionVector): boolean {
  for (const [actor, seq] of other) {
    if ((vector.get(actor) ?? 0) < seq) return false;
  }
  return true;
}

/** How many changes of `other` are not in `vector`. */
export function lackingCount(vector: VersionVector, other: VersionVector): number {
  let count = 0;
  for (const [actor, seq] of other) count += Math.max(0, seq - (vector.get(actor) ?? 0));
  return count;
}

/** The entries of `vector` that are ahead of `base`. */
export function ahead(vector: VersionVector, base: VersionVector): Map<ActorId, number> {
  const delta = new Map<ActorId, number>();
  for (const [actor, seq] of vector) {
    if (seq > (base.get(actor) ?? 0)) delta.set(actor, seq);
  }
  return delta;
}

/** What both hold. */
export function lowest(a: VersionVector, b: VersionVector): Map<ActorId, number> {
  const both = new Map<ActorId, number>();
  for (const [actor, seq] of a) {
    const other = b.get(actor) ?? 0;
    if (other > 0) both.set(actor, Math.min(seq, other));
  }
  return both;
}

/** Raises `target` to cover `other`. */
export function raise(target: Map<ActorId, number>, other: VersionVector): void {
  for (const [actor, seq] of other) {
    if (seq > (target.get(actor) ?? 0)) target.set(actor, seq);
  }
}

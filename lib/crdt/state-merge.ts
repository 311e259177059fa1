// state-merge.ts — one register of two sites, each with what its site had seen, as the register of who has seen both. Pure.
// Invariant: the result is what all changes of both, applied in any causal order, would have made. An entry that one side has and the
// other does not, though it has seen the operation, was overwritten there. (Optimized OR-sets and dotted version vectors merge so:
// Bieniusa et al. 2012, Preguiça et al. 2010.)

import type { ActorTable, OpId } from './ids.js';
import type { Entry } from './inode.js';
import { compareEntries, sameOp } from './register.js';

/** Whether a side has seen an operation. */
export type HasSeen = (op: OpId) => boolean;

export interface MergeSide {
  readonly entries: readonly Entry[];
  readonly hasSeen: HasSeen;
}

/** `own.entries` itself when the other side brings nothing new. */
export function mergeEntries(own: MergeSide, other: MergeSide, actors: ActorTable): readonly Entry[] {
  const has = (side: MergeSide, op: OpId): boolean => side.entries.some((entry) => sameOp(entry, op));
  const kept = own.entries.filter((entry) => has(other, entry) || !other.hasSeen(entry));
  const added = other.entries.filter((entry) => !has(own, entry) && !own.hasSeen(entry));
  if (kept.length === own.entries.length && added.length === 0) return own.entries;
  return [...kept, ...added].toSorted((a, b) => compareEntries(b, a, actors));
}

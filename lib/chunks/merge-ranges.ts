// merge-ranges.ts — two versions of a file whose writers changed different byte ranges of their common base: both changes applied.
// Invariant: the result has each byte from the one side that changed it. Where both changed a byte, or both the size, there is no
// result. What a writer wrote is not known, only what differs: so changes of one side with a few equal bytes between them count
// as one, lest half of one record and half of another make a third that nobody wrote.

import { Content } from './content.js';
import type { Piece } from './content.js';
import { differences } from './content-differences.js';
import { RangeSet } from './range-set.js';

/** Equal bytes between two changes of one side that are taken for part of the change. */
const GAP_BYTES = 8;
/** More changes than that are no writes into ranges but another file. */
const RANGES_MAX = 100_000;

/** Undefined when the changes overlap. The order of the sides does not matter. */
export function* mergeRanges(base: Content, a: Content, b: Content): Generator<undefined, Content | undefined> {
  if (a.size !== base.size && b.size !== base.size) return undefined;
  const inA = yield* changedRanges(base, a);
  const inB = yield* changedRanges(base, b);
  if (!inA || !inB || overlap(inA, inB)) return undefined;
  const size = a.size === base.size ? b.size : a.size;
  const pieces: Piece[] = [];
  for (let at = 0; at < size;) {
    const end = Math.min(inB.runEnd(at), size);
    for (const piece of (inB.has(at) ? b : a).slice(at, end)) pieces.push(piece);
    at = end;
  }
  return new Content(pieces);
}

/** What was changed, appended or cut off; undefined when that is too much to keep account of. */
function* changedRanges(base: Content, side: Content): Generator<undefined, RangeSet | undefined> {
  const ranges = new RangeSet();
  const common = Math.min(base.size, side.size);
  let start = -1;
  let end = -1;
  for (const difference of differences(base, side, 0, common)) {
    if (!difference) {
      yield undefined;
      continue;
    }
    if (start < 0 || difference[0] - end > GAP_BYTES) {
      ranges.insert(start, end);
      start = difference[0];
      if (ranges.count > RANGES_MAX) return undefined;
    }
    end = difference[1];
  }
  ranges.insert(start, end);
  ranges.insert(common, Math.max(base.size, side.size));
  return ranges;
}

function overlap(a: RangeSet, b: RangeSet): boolean {
  const bounds = a.below(Infinity);
  for (let i = 0; i < bounds.length; i += 2) {
    if (b.has(bounds[i]!) || b.runEnd(bounds[i]!) < bounds[i + 1]!) return true;
  }
  return false;
}

// merge-content.ts — three-way merges of content: what a policy makes of two versions and what they have in common.
// Invariant: a function of the bytes alone, so every site gets the same; no byte that somebody wrote is missing from the result, or
// there is none and both versions are kept. Memory is bounded. Generators: one step is at most some milliseconds, but for the
// comparison of texts.

import type { MergePolicy } from '../crdt/merge-policy.js';
import type { Content } from './content.js';
import { isEqual } from './content-differences.js';
import { mergeAppend } from './merge-append.js';
import { mergeRanges } from './merge-ranges.js';
import { mergeText } from './merge-text.js';

/** Undefined when both versions must be kept. `earlier` comes first where an order is asked for. */
export function* mergeContents(
  policy: MergePolicy,
  base: Content,
  earlier: Content,
  later: Content,
): Generator<undefined, Content | undefined> {
  if (yield* isEqual(base, earlier)) return later;
  if ((yield* isEqual(base, later)) || (yield* isEqual(earlier, later))) return earlier;
  switch (policy) {
    case 'append':
      return yield* mergeAppend(base, earlier, later);
    case 'ranges':
      return yield* mergeRanges(base, earlier, later);
    case 'text':
      return yield* mergeText(base, earlier, later);
    case 'copy':
      return undefined;
  }
}

// merge-append.ts — two versions of a file that was only added to, a log say: all that either added, the earlier version's first.
// Invariant: the result holds every byte of the base and of both sides, or there is none. Mostly both begin with the base, and the
// rest of each is what it added. After an earlier merge one may hold lines in between, or in another order: then what was added is
// told line by line.

import { Content } from './content.js';
import { equalLength } from './content-differences.js';
import { type DifferingLines, differingLines, withLines } from './lines.js';

/** Lines are told apart in memory up to this much of each version, in bytes. */
const LINES_MAX_BYTES = 8 << 20;

/** Undefined when a side lacks something of the base. `earlier` is the version whose additions come first. */
export function* mergeAppend(
  base: Content,
  earlier: Content,
  later: Content,
): Generator<undefined, Content | undefined> {
  if ((yield* beginsWith(earlier, base)) && (yield* beginsWith(later, base))) {
    return new Content([...earlier.pieces, ...later.slice(base.size, later.size)]);
  }
  const lines = yield* differingLines(base, earlier, later, LINES_MAX_BYTES);
  if (!lines) return undefined;
  const [first, second] = [additions(lines.base, lines.left), additions(lines.base, lines.right)];
  if (!first || !second) {
    const added = additionsInAnyOrder(lines);
    return added && withLines(base, lines.prefixBytes, [...lines.left, ...added]);
  }
  const result: string[] = [];
  for (let i = 0; i <= lines.base.length; i++) {
    for (const line of first[i]!) result.push(line);
    for (const line of second[i]!) result.push(line);
    if (i < lines.base.length) result.push(lines.base[i]!);
  }
  return withLines(base, lines.prefixBytes, result);
}

function* beginsWith(side: Content, base: Content): Generator<undefined, boolean> {
  return side.size >= base.size && (yield* equalLength(base, side, 0, base.size)) === base.size;
}

/** What a side has before each line of the base, and after the last; undefined when it lacks one. */
function additions(base: readonly string[], side: readonly string[]): string[][] | undefined {
  const added: string[][] = [[]];
  let next = 0;
  for (const line of side) {
    const wanted = base[next];
    if (line === wanted) {
      next++;
      added.push([]);
    } else if (next === base.length - 1 && !wanted!.endsWith('\n') && line.startsWith(wanted!)) {
      // The base ended within this line.
      next++;
      added.push([line.slice(wanted!.length)]);
    } else added[next]!.push(line);
  }
  return next === base.length ? added : undefined;
}

/**
 * Merges at different places may have put the same lines in different orders. What the right side has more of than the base, as often
 * as it does; undefined when a side lacks a line of the base, or ends within one.
 */
function additionsInAnyOrder({ base, left, right }: DifferingLines): string[] | undefined {
  const [inLeft, inRight] = [leftOver(base, left), leftOver(base, right)];
  return inLeft && left.at(-1)?.endsWith('\n') ? inRight : undefined;
}

/** The lines of a side without those of the base, in their order; undefined when it lacks one. */
function leftOver(base: readonly string[], side: readonly string[]): string[] | undefined {
  const counts = new Map<string, number>();
  for (const line of base) counts.set(line, (counts.get(line) ?? 0) + 1);
  let missing = base.length;
  const left: string[] = [];
  for (const line of side) {
    const count = counts.get(line) ?? 0;
    if (count === 0) left.push(line);
    else {
      counts.set(line, count - 1);
      missing--;
    }
  }
  return missing === 0 ? left : undefined;
}

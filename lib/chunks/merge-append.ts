// merge-append.ts — two versions of a file that was only added to, a log say: all that either added, the earlier version's first.
// Invariant: the result holds every byte of the base and of both sides, or there is none. Mostly both begin with the base, and the
// rest of each is what it added. After an earlier merge one may hold lines in between: then what was added is told line by line.

import { Content } from './content.js';
import { equalLength } from './content-differences.js';
import { differingLines, withLines } from './lines.js';

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
  if (!first || !second) return undefined;
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

// merge-text.ts — two versions of a text, merged line by line on their common base: diff3 (Khanna, Kunal, Pierce: A Formal
// Investigation of Diff3, FSTTCS 2007). Invariant: a line is in the result, or not, because a side decided so and the other left it
// alone; where both changed neighbouring lines differently there is no result. A file with NUL bytes is no text.
// The longest common subsequence is looked for by a method whose cost grows with the square: what would take too long is not tried.

import { diff3Merge } from 'node-diff3';
import type { Content } from './content.js';
import { differingLines, withLines } from './lines.js';

const TEXT_MAX_BYTES = 4 << 20;
/** Steps that a comparison of two texts may take: some hundred milliseconds. */
const STEPS_MAX = 50_000_000;

/** Undefined when both changed the same place, when it is no text, or too large. The order of the sides does not matter. */
export function* mergeText(base: Content, a: Content, b: Content): Generator<undefined, Content | undefined> {
  const lines = yield* differingLines(base, a, b, TEXT_MAX_BYTES);
  if (!lines || [base, a, b].some((content) => hasNul(content))) return undefined;
  const suffix = commonSuffix(lines.base, lines.left, lines.right);
  // Numbers instead of lines: they are compared and looked up many times.
  const numbers = new Map<string, number>();
  const [inBase, inA, inB] = [lines.base, lines.left, lines.right].map((side) =>
    side.slice(0, side.length - suffix).map((line) => {
      const number = numbers.get(line) ?? numbers.size;
      numbers.set(line, number);
      return number;
    }),
  ) as [number[], number[], number[]];
  if (steps(inBase, inA) > STEPS_MAX || steps(inBase, inB) > STEPS_MAX) return undefined;
  yield undefined;
  const words = [...numbers.keys()];
  const result: string[] = [];
  for (const { ok } of diff3Merge<number>(inA, inBase, inB, { excludeFalseConflicts: true })) {
    if (!ok) return undefined;
    for (const number of ok) result.push(words[number as number]!);
  }
  for (const line of lines.base.slice(lines.base.length - suffix)) result.push(line);
  return withLines(base, lines.prefixBytes, result);
}

function hasNul(content: Content): boolean {
  return content.size > TEXT_MAX_BYTES || content.read(0, content.size).includes(0);
}

function commonSuffix(base: readonly string[], left: readonly string[], right: readonly string[]): number {
  const most = Math.min(base.length, left.length, right.length);
  let n = 0;
  while (n < most && base.at(-1 - n) === left.at(-1 - n) && base.at(-1 - n) === right.at(-1 - n)) n++;
  return n;
}

/** What finding the longest common subsequence costs at most (Hunt and McIlroy 1976, as the library has it). */
function steps(a: readonly number[], b: readonly number[]): number {
  const counts = new Map<number, number>();
  for (const line of b) counts.set(line, (counts.get(line) ?? 0) + 1);
  let pairs = a.length;
  for (const line of a) pairs += counts.get(line) ?? 0;
  return pairs * Math.min(a.length, b.length);
}

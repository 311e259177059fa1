// content-differences.ts — where two contents have different bytes. What both take from one chunk at one place is not read.
// Invariant: exact, byte by byte; memory is two windows. A generator, so that whoever compares large files on a thread that has
// other work can leave off after each window.

import type { Content } from './content.js';

/** Compared at once, in bytes. */
const WINDOW_BYTES = 256 << 10;

/** Runs of [from, to) that differ, in order, as [start, end); undefined: a pause. Runs may touch. */
export function* differences(
  a: Content,
  b: Content,
  from: number,
  to: number,
): Generator<readonly [number, number] | undefined, void> {
  for (let at = from; at < to;) {
    const inA = a.identity(at);
    const inB = b.identity(at);
    const end = Math.min(inA.end, inB.end, to);
    if (inA.name !== null && inA.name === inB.name && inA.place === inB.place) {
      at = end;
      continue;
    }
    const stop = Math.min(end, at + WINDOW_BYTES);
    yield* compareWindow(a.read(at, stop), b.read(at, stop), at);
    yield undefined;
    at = stop;
  }
}

function* compareWindow(a: Buffer, b: Buffer, base: number): Generator<readonly [number, number], void> {
  if (a.equals(b)) return;
  for (let i = 0; i < a.length; i++) {
    if (a[i] === b[i]) continue;
    const start = i;
    while (i < a.length && a[i] !== b[i]) i++;
    yield [base + start, base + i];
  }
}

/** How many bytes from `from` on are the same in both, at most up to `to`. */
export function* equalLength(a: Content, b: Content, from: number, to: number): Generator<undefined, number> {
  for (const difference of differences(a, b, from, to)) {
    if (difference) return difference[0] - from;
    yield undefined;
  }
  return to - from;
}

export function* isEqual(a: Content, b: Content): Generator<undefined, boolean> {
  return a.size === b.size && (yield* equalLength(a, b, 0, a.size)) === a.size;
}

// range-set.ts — a set of byte positions, kept as sorted, disjoint, non-touching half-open ranges. Pure.
// Invariant: bounds[0] < bounds[1] < bounds[2] < …; even indexes start a range, odd ones end it. Ends may be Infinity.

import { CorruptionError } from '../codec/bytes.js';
import type { ByteReader, ByteWriter } from '../codec/bytes.js';

export class RangeSet {
  /** start, end, start, end, … */
  private bounds: number[];

  /** Empty, or a copy. */
  constructor(from?: RangeSet) {
    this.bounds = from ? [...from.bounds] : [];
  }

  /** Number of ranges. */
  get count(): number {
    return this.bounds.length / 2;
  }

  /** How many bounds are ≤ position: odd exactly when the position is in the set. */
  private rank(position: number): number {
    const { bounds } = this;
    let low = 0;
    let high = bounds.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (bounds[middle]! <= position) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  has(position: number): boolean {
    return this.rank(position) % 2 === 1;
  }

  /** Where the run of positions that are, like `position`, in the set (or not in it) ends; Infinity when it does not. */
  runEnd(position: number): number {
    return this.bounds[this.rank(position)] ?? Infinity;
  }

  /** Adds [start, end); returns whether the set grew. */
  insert(start: number, end: number): boolean {
    if (start >= end) return false;
    const { bounds } = this;
    const first = this.rank(start);
    if (first % 2 === 1 && bounds[first]! >= end) return false;
    // A range that ends exactly at `start`, or starts exactly at `end`, is joined.
    const joinsLeft = first % 2 === 0 && first > 0 && bounds[first - 1] === start;
    const from = joinsLeft ? first - 1 : first;
    const to = this.rank(end);
    const fresh: number[] = [];
    if (from % 2 === 0) fresh.push(start);
    if (to % 2 === 0) fresh.push(end);
    if (fresh.length === 1 && to - from === 1) bounds[from] = fresh[0]!;
    else bounds.splice(from, to - from, ...fresh);
    return true;
  }

  insertAll(other: RangeSet): void {
    for (let i = 0; i < other.bounds.length; i += 2) this.insert(other.bounds[i]!, other.bounds[i + 1]!);
  }

  clear(): void {
    this.bounds = [];
  }

  /** The ranges below `limit` as start, end, start, end, …; the last is cut there. */
  below(limit: number): number[] {
    const { bounds } = this;
    const cut: number[] = [];
    for (let i = 0; i < bounds.length && bounds[i]! < limit; i += 2)
      cut.push(bounds[i]!, Math.min(bounds[i + 1]!, limit));
    return cut;
  }

  /** Count, then per range the gap before it and its length, as varints; a length of 0 stands for one without end. */
  encode(writer: ByteWriter): void {
    writer.varint(this.count);
    let last = 0;
    for (let i = 0; i < this.bounds.length; i += 2) {
      const start = this.bounds[i]!;
      const end = this.bounds[i + 1]!;
      writer.varint(start - last).varint(end === Infinity ? 0 : end - start);
      last = end;
    }
  }

  /** CorruptionError for anything that {@link encode} would not have written. */
  static decode(reader: ByteReader): RangeSet {
    const count = reader.varint('range count');
    if (count * 2 > reader.remaining) throw new CorruptionError(`ranges: ${count} in ${reader.remaining} bytes`);
    const set = new RangeSet();
    let last = 0;
    for (let i = 0; i < count; i++) {
      const gap = reader.varint('range gap');
      const length = reader.varint('range length');
      const start = last + gap;
      const end = length === 0 ? Infinity : start + length;
      if (
        (i > 0 && gap === 0) ||
        start > Number.MAX_SAFE_INTEGER ||
        (end > Number.MAX_SAFE_INTEGER && end !== Infinity)
      ) {
        throw new CorruptionError(`ranges: range ${i} starts at ${start}, ends at ${end}`);
      }
      set.bounds.push(start, end);
      last = end;
    }
    return set;
  }
}

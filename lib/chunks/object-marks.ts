// object-marks.ts — a small number for each of many objects: what a collection knows of a million of them in some 30 MB.
// Invariant: the lowest mark that an object was given is found again. Objects are told apart by the first 64 bits of their SHA-256:
// two that share them share a mark, so that now and then one is kept that nothing needs, and never the reverse.

import type { ObjectId } from '../crdt/ids.js';

const FIRST_SLOTS = 1 << 12;
/** Of the slots, in use. */
const MAX_LOAD = 0.6;
export const UNMARKED = 255;

export class ObjectMarks {
  private high = new Uint32Array(FIRST_SLOTS);
  private low = new Uint32Array(FIRST_SLOTS);
  private marks = new Uint8Array(FIRST_SLOTS).fill(UNMARKED);
  private count = 0;

  /** Marks an object, unless it has as low a mark; `mark` is 0 … 254. Whether that changed its mark. */
  add(id: ObjectId, mark: number): boolean {
    if (this.count >= this.marks.length * MAX_LOAD) this.grow();
    const high = Number.parseInt(id.slice(0, 8), 16);
    const low = Number.parseInt(id.slice(8, 16), 16);
    const slot = this.slotOf(high, low);
    const before = this.marks[slot]!;
    if (before <= mark) return false;
    if (before === UNMARKED) {
      this.count++;
      this.high[slot] = high;
      this.low[slot] = low;
    }
    this.marks[slot] = mark;
    return true;
  }

  /** The mark of the object whose id's bytes these are; UNMARKED when it has none. */
  of(id: Buffer): number {
    return this.marks[this.slotOf(id.readUInt32BE(0), id.readUInt32BE(4))]!;
  }

  /** Where the object is, or is to be put. The ids are hashes: their bits need no further mixing. */
  private slotOf(high: number, low: number): number {
    const mask = this.marks.length - 1;
    let slot = low & mask;
    while (this.marks[slot] !== UNMARKED && (this.high[slot] !== high || this.low[slot] !== low))
      slot = (slot + 1) & mask;
    return slot;
  }

  private grow(): void {
    const { high, low, marks } = this;
    this.high = new Uint32Array(marks.length * 2);
    this.low = new Uint32Array(marks.length * 2);
    this.marks = new Uint8Array(marks.length * 2).fill(UNMARKED);
    for (let i = 0; i < marks.length; i++) {
      if (marks[i] === UNMARKED) continue;
      const slot = this.slotOf(high[i]!, low[i]!);
      this.high[slot] = high[i]!;
      this.low[slot] = low[i]!;
      this.marks[slot] = marks[i]!;
    }
  }
}

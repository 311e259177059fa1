// row-sum.ts — the 32-bit sum that each row of the state carries, and the sealing of rows that are one blob.
// Invariant: any change of one value of a row, by however many bits within 32, changes its sum; anything else passes with a chance
// of 2^-32. It guards against the disk, not against malice. SQLite's own pages have none: page-sums.ts guards those at rest.

import { crc32 } from 'node:zlib';
import { CorruptionError } from '../codec/bytes.js';

/** What SQLite keeps in a column. */
export type Cell = number | string | Uint8Array | null;

const START = 0x57656674;
const ODD = 0x9e3779b1;
const WORD = 2 ** 32;
/** How many of them close a sealed blob. */
export const SEAL_BYTES = 4;
const EMPTY = Buffer.alloc(0);

/** A bijection of `sum` for each `word`, and of `word` for each `sum`: what differs once differs to the end. */
function mix(sum: number, word: number): number {
  const mixed = Math.imul(sum ^ word, ODD);
  return mixed ^ (mixed >>> 15);
}

/** The sum of a row's values in order. Integers must be safe ones. */
export function rowSum(...cells: readonly Cell[]): number {
  let sum = START;
  for (const cell of cells) {
    if (typeof cell === 'number') {
      sum = mix(mix(sum, (cell % WORD) | 0), Math.floor(cell / WORD) | 0);
    } else if (typeof cell === 'string') {
      for (let i = 0; i < cell.length; i++) sum = mix(sum, cell.charCodeAt(i));
      sum = mix(sum, cell.length);
    } else {
      if (cell === null) sum = mix(sum, ODD);
      // zlib takes nothing for a request for its first value.
      else sum = mix(cell.length === 0 ? sum : crc32(cell, sum >>> 0), cell.length);
    }
  }
  return sum >>> 0;
}

/** @throws CorruptionError naming `what` when these values are not those that `sum` was made of */
export function checkRow(what: () => string, sum: unknown, ...cells: readonly Cell[]): void {
  if (sum !== rowSum(...cells)) throw new CorruptionError(`${what()}: its row in state.db is damaged`);
}

/** The four bytes that close a blob which is kept under `key`. */
export function sealOf(key: number, bytes: Uint8Array): number {
  return crc32(bytes, rowSum(key));
}

/** A blob to be kept under `key`, closed with its sum. */
export function seal(key: number, bytes: Uint8Array): Buffer {
  const sealed = Buffer.allocUnsafe(bytes.length + SEAL_BYTES);
  sealed.set(bytes);
  sealed.writeUInt32LE(sealOf(key, bytes), bytes.length);
  return sealed;
}

/** The blob that was sealed, as a view. @throws CorruptionError naming `what` */
export function unseal(what: string, key: number, sealed: Buffer): Buffer {
  // What kind of value SQLite gives is part of the row, and can be damaged.
  const end = Buffer.isBuffer(sealed) ? sealed.length - SEAL_BYTES : -1;
  const bytes = end < 0 ? EMPTY : sealed.subarray(0, end);
  if (end < 0 || sealed.readUInt32LE(end) !== sealOf(key, bytes)) {
    throw new CorruptionError(`${what}: its row in state.db is damaged`);
  }
  return bytes;
}

// flipped-bit.ts — finds the one bit whose flip explains a wrong CRC-32. Pure.
// CRC-32 is linear: the difference of two sums depends only on which bits differ, and a single flipped bit gives each place a
// difference of its own (for less than 2^32 bits). Damage of more bits is taken for one flip with a chance of bits / 2^32: whoever
// corrects checks the result by other means too. CRC-32 as in zlib: reflected, polynomial 0xedb88320.

const POLYNOMIAL = 0xedb88320;

/**
 * Where the flipped bit is, counted from bit 0 of the first byte; undefined when no single flip gives this difference.
 * @param difference the sum of what is there, xor the sum that was kept
 * @param length bytes that the sum is over
 */
export function flippedBit(difference: number, length: number): number | undefined {
  // A flip of the very last bit (bit 7 of the last byte) has run through one step of the shift register, the one before through two.
  let sum = POLYNOMIAL | 0;
  const wanted = difference | 0;
  for (let bit = length * 8 - 1; bit >= 0; bit--) {
    if (sum === wanted) return bit;
    sum = sum & 1 ? (sum >>> 1) ^ POLYNOMIAL : sum >>> 1;
  }
  return undefined;
}

/** Whether exactly one bit of a 32-bit word is set: then the kept sum itself is what was flipped. */
export function isSingleBit(word: number): boolean {
  return word !== 0 && (word & (word - 1)) === 0;
}

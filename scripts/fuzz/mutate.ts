// mutate.ts — damages bytes the way that finds what a decoder takes for granted: bits, lengths, pieces left out, doubled or from elsewhere.

import type { Random } from '../../lib/sim/random.js';

/** Numbers at which lengths and counts go wrong, as LEB128 where they are large. */
const EDGES = [
  [0],
  [1],
  [0x7f],
  [0x80],
  [0xff],
  [0xff, 0x7f],
  [0x80, 0x80, 0x04],
  [0xff, 0xff, 0xff, 0xff, 0x0f],
  [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f],
  [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
  [0, 0, 0, 0x80],
  [0xff, 0xff, 0xff, 0xff],
];
const MOST_MUTATIONS = 6;
const LONGEST_PIECE = 64;

/** @param other some other input, to take pieces from */
export function mutate(bytes: Buffer, other: Buffer, random: Random): Buffer {
  let result = bytes;
  for (let left = 1 + random.below(MOST_MUTATIONS); left > 0; left--) result = mutateOnce(result, other, random);
  return result;
}

function mutateOnce(bytes: Buffer, other: Buffer, random: Random): Buffer {
  const at = random.below(bytes.length + 1);
  const length = 1 + random.below(Math.min(LONGEST_PIECE, bytes.length + 1));
  const [before, after] = [bytes.subarray(0, at), bytes.subarray(at)];
  switch (random.below(8)) {
    case 0: {
      const flipped = Buffer.from(bytes);
      if (at < flipped.length) flipped[at]! ^= 1 << random.below(8);
      return flipped;
    }
    case 1: {
      const set = Buffer.from(bytes);
      if (at < set.length) set[at] = random.below(256);
      return set;
    }
    case 2:
      return Buffer.concat([before, Buffer.from(EDGES[random.below(EDGES.length)]!), after]);
    case 3: {
      const edge = Buffer.from(EDGES[random.below(EDGES.length)]!);
      return Buffer.concat([before, edge, after.subarray(edge.length)]);
    }
    case 4:
      return Buffer.concat([before, after.subarray(length)]);
    case 5:
      return Buffer.concat([before, after.subarray(0, length), after]);
    case 6: {
      const from = random.below(other.length + 1);
      return Buffer.concat([before, other.subarray(from, from + length), after]);
    }
    default:
      return Buffer.from(before);
  }
}

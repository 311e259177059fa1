// disk-reserve.ts — the part of the disk that is left for changes of others, for folding what is logged, and for removing things.
// Why before and not at the failing write: a site that cannot take in a change of a peer, or commit what it acknowledged, cannot go on.

import { statfsSync } from 'node:fs';

const RESERVE_BYTES = 64 * 2 ** 20;

/** Bytes that the disk of `directory` has beside the reserve; less than 0: a part of that is taken. */
export function roomBesideReserve(directory: string): number {
  const { bavail, bsize } = statfsSync(directory);
  return bavail * bsize - RESERVE_BYTES;
}

/** True when less than the reserve would be left on the disk of `directory` once it holds so many bytes more. */
export function isReserveNeeded(directory: string, moreBytes = 0): boolean {
  return roomBesideReserve(directory) < moreBytes;
}

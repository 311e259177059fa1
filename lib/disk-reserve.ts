// disk-reserve.ts — the part of the disk that is left for changes of others, for folding what is logged, and for removing things. For all
// layers that touch the disk; none of the pure files.
// Why before and not at the failing write: a site that cannot take in a change of a peer, or commit what it acknowledged, cannot go on.

import { statfsSync, type StatsFs } from 'node:fs';

const RESERVE_BYTES = 64 * 2 ** 20;
/** Beside the reserve. */
const SCARCE_BYTES = 256 * 2 ** 20;

/** Bytes that a disk has beside the reserve; less than 0: a part of that is taken. */
export function besideReserve({ bavail, bsize }: Pick<StatsFs, 'bavail' | 'bsize'>): number {
  return bavail * bsize - RESERVE_BYTES;
}

/** The same of the disk of `directory`. */
export function roomBesideReserve(directory: string): number {
  return besideReserve(statfsSync(directory));
}

/** True when less than the reserve would be left on the disk of `directory` once it holds so many bytes more. */
export function isReserveNeeded(directory: string, moreBytes = 0): boolean {
  return roomBesideReserve(directory) < moreBytes;
}

/** True when a disk that has so much beside the reserve is better given back what is kept for speed alone. */
export function isScarce(besideBytes: number): boolean {
  return besideBytes < SCARCE_BYTES;
}

/** What is left of a disk that has so much beside the reserve. */
export function leftOf(besideBytes: number): number {
  return besideBytes + RESERVE_BYTES;
}

// file-times.ts — the modification times of files on simulated disks: those of the simulated machine, not of this one.
// Invariant: whole microseconds are what a file is given and has afterwards (libuv takes seconds as a double, and cuts at microseconds).

import { fstatSync, futimesSync } from 'node:fs';

const NS_PER_S = 1_000_000_000n;
/** What is cut off lies in the middle between two microseconds, where no rounding of a double comes near either. */
const HALF_US_NS = 500;

/** Nanoseconds since 1970. */
export function fileTimeNs(fd: number): bigint {
  return fstatSync(fd, { bigint: true }).mtimeNs;
}

export function setFileTime(fd: number, ns: bigint): void {
  const seconds = Number(ns / NS_PER_S) + (Number(ns % NS_PER_S) + HALF_US_NS) / 1e9;
  futimesSync(fd, seconds, seconds);
}

// size.ts — sizes as people write them on a command line: 4096, 500M, 10G, 1.5TiB. Units are powers of 1024.

import { UsageError } from './failure.js';

const UNITS = ['', 'K', 'M', 'G', 'T', 'P'];

/** Bytes of `text`. `what` names the option in the error. */
export function parseSizeBytes(text: string, what: string): number {
  const match = /^(\d+(?:\.\d+)?)([KMGTP]?)(?:i?B)?$/i.exec(text.trim());
  const bytes = match ? Math.round(Number(match[1]) * 1024 ** UNITS.indexOf(match[2]!.toUpperCase())) : Number.NaN;
  if (!Number.isSafeInteger(bytes))
    throw new UsageError(`${what} ${JSON.stringify(text)} is no size: write for example 500M or 10G`);
  return bytes;
}

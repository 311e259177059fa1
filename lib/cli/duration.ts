// duration.ts — durations as people write them on a command line: 90, 90s, 30m, 24h, 7d.

import { UsageError } from './failure.js';

const UNIT_MS: Record<string, number> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };
const MAX_MS = 3650 * 86_400_000;

/** Milliseconds of `text`; a bare number is seconds. `what` names the option in the error. */
export function parseDurationMs(text: string, what: string): number {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)?$/.exec(text.trim());
  const durationMs = match ? Number(match[1]) * UNIT_MS[match[2] ?? 's']! : Number.NaN;
  if (!(durationMs > 0 && durationMs <= MAX_MS)) {
    throw new UsageError(`${what} ${JSON.stringify(text)} is no duration: write for example 30s, 10m, 24h or 7d`);
  }
  return durationMs;
}

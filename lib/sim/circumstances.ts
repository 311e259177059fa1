// circumstances.ts — under which circumstances a schedule is played, drawn from its seed: how many sites, who is linked to whom, how
// wrong their clocks are.
// Invariant: what is drawn does not depend on what else a plan says, so that a replay with as many sites draws the same.

import type { Random } from './random.js';

const SITE_COUNTS = [2, 2, 2, 2, 2, 2, 3, 3, 3, 3, 3, 3, 4, 4, 4, 5, 6, 8];
const TOPOLOGIES = { all: 5, line: 2, ring: 2, star: 2 };
const COARSE_CLOCK = { skewMs: 0, rate: 1, tickUs: 1_000_000 };
const COARSE_SHARE = 0.15;
/** CONFIG_HZ=250. */
const FILE_TICK_US = 4_000;
const FILE_TICK_SHARE = 0.5;
const PASSTHROUGH_SHARE = 0.6;

/** See SiteClock. */
export interface ClockError {
  readonly skewMs: number;
  readonly rate: number;
  readonly tickUs?: number;
  readonly fileTickUs?: number;
}

export function drawSiteCount(random: Random): number {
  return random.pick(SITE_COUNTS)!;
}

/** @returns whether the sites of two indices are linked */
export function drawLinks(random: Random, count: number): (a: number, b: number) => boolean {
  const topology = random.weighted(TOPOLOGIES);
  return (a, b) => {
    const distance = Math.abs(a - b);
    switch (topology) {
      case 'all':
        return true;
      case 'line':
        return distance === 1;
      case 'ring':
        return distance === 1 || distance === count - 1;
      case 'star':
        return a === 0 || b === 0;
    }
  };
}

/** @returns draws the clock of the next site */
export function drawClocks(random: Random): () => ClockError {
  const clocks = random.fork('clocks');
  const areCoarse = random.fork('coarse clocks').chance(COARSE_SHARE);
  const ticks = random.fork('file times');
  return () => {
    const own = { skewMs: skew(clocks), rate: 1 + (clocks.next() - 0.5) * 2e-3 };
    const fileTickUs = ticks.chance(FILE_TICK_SHARE) ? FILE_TICK_US : 1;
    return { ...(areCoarse ? COARSE_CLOCK : own), fileTickUs };
  };
}

/** @returns those of the sites whose kernel can be given local files to read and write by itself */
export function drawPassthrough(random: Random, names: readonly string[]): string[] {
  const passthrough = random.fork('passthrough');
  return names.filter(() => passthrough.chance(PASSTHROUGH_SHARE));
}

/** Most clocks are about right; some are hours off, one day in the past or in the future. */
function skew(random: Random): number {
  const kind = random.next();
  const sign = random.chance(0.5) ? 1 : -1;
  if (kind < 0.4) return 0;
  if (kind < 0.7) return sign * random.next() * 200;
  return sign * random.logUniform(1_000, 86_400_000);
}

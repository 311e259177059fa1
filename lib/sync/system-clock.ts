// system-clock.ts — the machine's own clock and randomness, for whoever runs links outside a simulation.

import { randomBytes } from 'node:crypto';
import type { SyncClock, SyncRandom } from './ports.js';

/** setTimeout takes 31 bits; more would fire at once. */
const MAX_TIMER_MS = 2 ** 31 - 1;

export const systemClock: SyncClock = {
  now: () => performance.now(),
  wallMs: () => Date.now(),
  setTimer: (delayMs, fire) => {
    const timer = setTimeout(fire, Math.min(delayMs, MAX_TIMER_MS)).unref();
    return () => clearTimeout(timer);
  },
};

export const systemRandom: SyncRandom = {
  jitter: () => Math.random(),
  bytes: (length) => randomBytes(length),
};

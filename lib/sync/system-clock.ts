// system-clock.ts — the machine's own clock and randomness, for whoever runs links outside a simulation.

import { randomBytes } from 'node:crypto';
import type { SyncClock, SyncRandom } from './ports.js';

export const systemClock: SyncClock = {
  now: () => performance.now(),
  wallMs: () => Date.now(),
  setTimer: (delayMs, fire) => {
    const timer = setTimeout(fire, delayMs).unref();
    return () => clearTimeout(timer);
  },
};

export const systemRandom: SyncRandom = {
  jitter: () => Math.random(),
  bytes: (length) => randomBytes(length),
};

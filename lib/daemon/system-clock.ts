// system-clock.ts — the machine's clocks, as the volume asks for them.

import type { Timestamp } from '../crdt/inode.js';
import type { VolumeClock } from '../volume/ports.js';

/** Wall time at monotonic zero, milliseconds; renewed now and then so that a clock set by the user or by NTP is followed. */
const REANCHOR_MS = 1_000;

export class SystemClock implements VolumeClock {
  private anchorMs = 0;
  private anchoredAtMs = -Infinity;

  /** Milliseconds since 1970 with a fraction: Date.now() has no more than milliseconds. */
  private wallMs(): number {
    const monotonic = performance.now();
    if (monotonic - this.anchoredAtMs > REANCHOR_MS) {
      const anchor = Date.now() - monotonic;
      // Only follow a real step: within a millisecond the finer clock is the better one.
      if (Math.abs(anchor - this.anchorMs) > 1) this.anchorMs = anchor;
      this.anchoredAtMs = monotonic;
    }
    return this.anchorMs + monotonic;
  }

  nowUs(): number {
    return Math.floor(this.wallMs() * 1e3);
  }

  now(): Timestamp {
    const ms = this.wallMs();
    const s = Math.floor(ms / 1e3);
    return { s, ns: Math.floor((ms - s * 1e3) * 1e6) };
  }

  monotonicMs(): number {
    return performance.now();
  }
}

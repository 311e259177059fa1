// site-clock.ts — the clocks of one simulated machine: wrong by some amount, drifting, and set back or forward now and then.
// Invariant: the monotonic clock goes forward at every look; the wall clock does what clocks do.

import type { Timestamp } from '../crdt/inode.js';
import type { VolumeClock } from '../volume/ports.js';
import type { Timeline } from './timeline.js';

/** 2024-01-01, microseconds since 1970: when simulated time begins. */
export const EPOCH_US = 1_704_067_200_000_000;
const LOOK_MS = 0.001;

export class SiteClock implements VolumeClock {
  private looks = 0;
  private latestBeforeUs = -Infinity;
  private latestNowUs = -Infinity;

  constructor(
    private readonly timeline: Timeline,
    /** How far the wall clock is ahead, milliseconds. */
    private skewMs: number,
    /** Simulated seconds per second of this machine: 1.0001 gains a second in three hours. */
    private readonly rate: number,
    /** Called at every look: a moment within an operation. */
    private readonly looked: () => void,
    /** The wall clock moves by so much at a time, microseconds: two sites then do things at the same time. */
    private readonly tickUs = 1,
    /** … and the times of files by so much: the kernel takes the time of its last tick, or (since 6.13) a finer one where somebody looked. */
    private readonly fileTickUs = 1,
  ) {}

  /** The wall clock is set forward, or back. */
  jump(byMs: number): void {
    this.skewMs += byMs;
  }

  nowUs(): number {
    const us = Math.floor(EPOCH_US + (this.monotonicMs() + this.skewMs) * 1000);
    const toldUs = us - (us % this.tickUs);
    this.latestNowUs = Math.max(this.latestNowUs, toldUs);
    return toldUs;
  }

  /**
   * The latest time that the wall clock told a process and the one before it, microseconds since 1970: later than now when it was set
   * back. What a process did and could not commit, the next one commits.
   */
  get latestUs(): number {
    return Math.max(this.latestBeforeUs, this.latestNowUs);
  }

  /** Another process is told the time from now on. */
  beginLife(): void {
    this.latestBeforeUs = this.latestNowUs;
    this.latestNowUs = -Infinity;
  }

  now(): Timestamp {
    const us = this.nowUs();
    const s = Math.floor(us / 1e6);
    return { s, ns: (us - s * 1e6) * 1000 };
  }

  /** What a file that changes now has for its time, nanoseconds since 1970. No moment of the process. */
  get fileTimeNs(): bigint {
    const us = Math.floor(EPOCH_US + (this.elapsedMs + this.skewMs) * 1000);
    const toldUs = us - (us % this.fileTickUs);
    this.latestNowUs = Math.max(this.latestNowUs, toldUs);
    return BigInt(toldUs) * 1000n;
  }

  monotonicMs(): number {
    this.looked();
    this.looks++;
    return this.elapsedMs;
  }

  private get elapsedMs(): number {
    return this.timeline.nowMs * this.rate + this.looks * LOOK_MS;
  }
}

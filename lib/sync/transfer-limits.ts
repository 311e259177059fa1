// transfer-limits.ts — how fast file content may go over all links of a site, by the time of day. Pure. Changes are not limited.

import type { SyncClock } from './ports.js';
import { TokenBucket } from './token-bucket.js';

/** Bytes per second; null: no limit. */
export interface TransferLimits {
  readonly upBytesPerS: number | null;
  readonly downBytesPerS: number | null;
}

/** Minutes since midnight, local time. `to` is not part of it; before `from`: it goes over midnight. */
export interface DayPart {
  readonly from: number;
  readonly to: number;
}

/** Limits that hold always, or in a part of each day. */
export interface LimitRule extends TransferLimits {
  readonly between: DayPart | null;
}

export const NO_LIMITS: TransferLimits = { upBytesPerS: null, downBytesPerS: null };

/** What holds at a minute of the day: of all rules for it the lowest. */
export function limitsAt(rules: readonly LimitRule[], minuteOfDay: number): TransferLimits {
  let limits = NO_LIMITS;
  for (const { between, upBytesPerS, downBytesPerS } of rules) {
    if (between !== null && !isWithin(between, minuteOfDay)) continue;
    limits = {
      upBytesPerS: lower(limits.upBytesPerS, upBytesPerS),
      downBytesPerS: lower(limits.downBytesPerS, downBytesPerS),
    };
  }
  return limits;
}

function isWithin({ from, to }: DayPart, minute: number): boolean {
  return from < to ? from <= minute && minute < to : from <= minute || minute < to;
}

function lower(a: number | null, b: number | null): number | null {
  if (a === null || b === null) return a ?? b;
  return Math.min(a, b);
}

/** What a site's exchange asks before it moves content. */
export interface Pace {
  readonly maySend: boolean;
  readonly mayAsk: boolean;
  /** No more is to be asked for ahead, in bytes. */
  readonly aheadBytes: number;
  sent(bytes: number): void;
  received(bytes: number): void;
}

export const UNPACED: Pace = {
  maySend: true,
  mayAsk: true,
  aheadBytes: Infinity,
  sent: () => {},
  received: () => {},
};

/** What is asked for comes whenever the other site sends it: so much of it, in time at the limit. */
const AHEAD_MS = 500;

/** Holds the transfers of a site to its limits: tells when more may go on. */
export class LimitedPace implements Pace {
  private readonly up = new TokenBucket();
  private readonly down = new TokenBucket();
  private readonly waiting = new Map<TokenBucket, () => void>();

  constructor(
    private readonly clock: SyncClock,
    /** More may be sent, or asked for, than before. */
    private readonly goOn: () => void,
  ) {}

  /** From now on. */
  limit({ upBytesPerS, downBytesPerS }: TransferLimits): void {
    if (upBytesPerS === this.up.bytesPerS && downBytesPerS === this.down.bytesPerS) return;
    const now = this.clock.now();
    this.up.limit(upBytesPerS, now);
    this.down.limit(downBytesPerS, now);
    this.stop();
    this.goOn();
    this.watch(this.up);
    this.watch(this.down);
  }

  get maySend(): boolean {
    return this.up.isOpen(this.clock.now());
  }

  get mayAsk(): boolean {
    return this.down.isOpen(this.clock.now());
  }

  get aheadBytes(): number {
    return this.down.bytesPerS === null ? Infinity : (this.down.bytesPerS * AHEAD_MS) / 1000;
  }

  sent(bytes: number): void {
    this.up.spend(bytes, this.clock.now());
    this.watch(this.up);
  }

  received(bytes: number): void {
    this.down.spend(bytes, this.clock.now());
    this.watch(this.down);
  }

  stop(): void {
    for (const cancel of this.waiting.values()) cancel();
    this.waiting.clear();
  }

  private watch(bucket: TokenBucket): void {
    if (this.waiting.has(bucket)) return;
    const waitMs = bucket.waitMs(this.clock.now());
    if (waitMs === 0) return;
    const cancel = this.clock.setTimer(waitMs, () => {
      this.waiting.delete(bucket);
      if (bucket.isOpen(this.clock.now())) this.goOn();
      this.watch(bucket);
    });
    this.waiting.set(bucket, cancel);
  }
}

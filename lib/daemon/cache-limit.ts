// cache-limit.ts — when a site that fetches on demand gives up content by itself: above its cache size, or below a floor of free space.
// Invariant: while there is something to give up, what is fetched waits rather than going above the size; when nothing can be given
// up, because no linked site keeps it, reads go before the size. Pure but for the clock and what it is given.

import type { SyncClock } from '../sync/ports.js';
import type { Evicted } from './content-interface.js';
import type { Log } from './daemon-interface.js';

export interface CacheLimitOptions {
  readonly clock: SyncClock;
  readonly log: Log;
  /** Null: no limit. */
  readonly cacheBytes: () => number | null;
  readonly keepFreeBytes: () => number | null;
  /** What content takes now, as stored. */
  readonly storedBytes: () => Promise<number>;
  readonly freeBytes: () => number;
  readonly evict: (bytes: number) => Promise<Evicted>;
  /** Fetching may go on. */
  readonly changed: () => void;
}

/** What is on its way when fetching stops; of a small cache no more than a quarter. */
const UNDER_WAY_BYTES = 8 << 20;
/** Parts of what is left: it is given up from here on … */
const BEGIN_SHARE = 0.85;
/** … until there is no more than this; and from here on nothing is fetched meanwhile. */
const AIM_SHARE = 0.65;
const FULL_SHARE = 0.95;
const CHECK_EVERY_MS = 5_000;
/** Between two looks that found nothing to give up. */
const REST_MS = 10_000;

export class CacheLimit {
  private usedBytes = 0;
  private evicting = false;
  private restUntilMs = -Infinity;
  private cancel: (() => void) | null = null;
  private closed = false;

  constructor(private readonly options: CacheLimitOptions) {}

  /** Looks now and every few seconds. */
  async look(): Promise<void> {
    this.cancel?.();
    this.cancel = null;
    if (this.closed || (this.options.cacheBytes() === null && this.options.keepFreeBytes() === null)) return;
    this.usedBytes = await this.options.storedBytes();
    this.check();
    if (!this.closed) this.cancel = this.options.clock.setTimer(CHECK_EVERY_MS, () => void this.look());
  }

  /** So many bytes were fetched. */
  stored(bytes: number): void {
    this.usedBytes += bytes;
    this.check();
  }

  /** Whether nothing is to be fetched now. */
  get isFull(): boolean {
    return this.evicting && this.usedBytes > this.limitBytes() * FULL_SHARE;
  }

  private limitBytes(): number {
    const cacheBytes = this.options.cacheBytes();
    return cacheBytes === null ? Infinity : cacheBytes - Math.min(UNDER_WAY_BYTES, cacheBytes / 4);
  }

  /** What has to go now, in bytes. */
  private excessBytes(): number {
    const limit = this.limitBytes();
    const overCache = this.usedBytes > limit * BEGIN_SHARE ? this.usedBytes - limit * AIM_SHARE : 0;
    const floor = this.options.keepFreeBytes();
    const lacking = floor === null ? 0 : floor - this.options.freeBytes();
    return Math.min(this.usedBytes, Math.max(overCache, lacking > 0 ? lacking + UNDER_WAY_BYTES : 0));
  }

  private check(): void {
    if (this.evicting || this.closed || this.options.clock.now() < this.restUntilMs) return;
    const bytes = this.excessBytes();
    if (bytes > 0) void this.evict(Math.ceil(bytes));
  }

  private async evict(bytes: number): Promise<void> {
    const { clock, log, evict, storedBytes, changed } = this.options;
    this.evicting = true;
    let freed = 0;
    try {
      const evicted = await evict(bytes);
      freed = evicted.bytes;
      log.debug(evicted, 'content that was read longest ago was given up');
      this.usedBytes = await storedBytes();
    } catch (error) {
      if (!this.closed) log.warn({ err: error }, 'content could not be given up now; it is tried again');
    }
    this.evicting = false;
    if (freed === 0) this.restUntilMs = clock.now() + REST_MS;
    if (this.closed) return;
    changed();
    this.check();
  }

  close(): void {
    this.closed = true;
    this.cancel?.();
  }
}

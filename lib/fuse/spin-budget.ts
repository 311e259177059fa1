// spin-budget.ts — how long the serving thread polls the device before it sleeps.
// Waking a sleeping thread on another processor costs 30 to 50 µs, several times what a request takes; a caller that issues one request
// after the other sends the next within a few µs. So it pays to poll for a while where requests do come soon, and only there.
// Invariant: polling costs nothing when it does not pay, and yields at once when another thread wants this processor. Pure: takes time as an argument.

/**
 * Longest polling after a reply, ms. The next call of a caller in a row comes after some 10 µs; longer polling takes the processor from
 * others: make -j4 took 1.92 s with 0.1 ms, 1.80 s with this, on two processors.
 */
const MAX_MS = 0.03;
/** Weight of one request in the moving average of hits. */
const WEIGHT = 1 / 32;
/** Below this share of requests that come within MAX_MS, neither polling nor quick waking is worth what it costs. */
const WORTHWHILE = 0.2;
/**
 * A yield that took this long gave the processor to somebody who has more to do than to send us a request, ms. At 0.5 make -j4 took
 * 1.09 of bindfs's time, at this 1.02.
 */
const CONTENDED_MS = 0.05;
const SHORTEST_PAUSE_MS = 20;
const LONGEST_PAUSE_MS = 640;

export class SpinBudget {
  /** Moving average of: the request came within MAX_MS after the last reply. */
  private hits = 0.5;
  private pausedUntilMs = 0;
  private pauseMs = SHORTEST_PAUSE_MS;

  /** How long to poll now, ms; 0: sleep at once. */
  budgetMs(nowMs: number): number {
    if (nowMs < this.pausedUntilMs || !this.inARow) return 0;
    return MAX_MS;
  }

  /** Whether most requests come within MAX_MS after the last reply, or did so lately: somebody makes one call after the other. */
  get inARow(): boolean {
    return this.hits >= WORTHWHILE;
  }

  /** A request came, `gapMs` after the last reply; waiting for it may have been polling or sleeping. */
  arrived(gapMs: number): void {
    this.hits += WEIGHT * ((gapMs <= MAX_MS ? 1 : 0) - this.hits);
  }

  /** One yield while polling took `tookMs`, and no request had come by then. False: stop polling now. */
  yielded(tookMs: number, nowMs: number): boolean {
    if (tookMs < CONTENDED_MS) return true;
    const again = nowMs - this.pausedUntilMs < 4 * this.pauseMs;
    this.pauseMs = again ? Math.min(this.pauseMs * 2, LONGEST_PAUSE_MS) : SHORTEST_PAUSE_MS;
    this.pausedUntilMs = nowMs + this.pauseMs;
    return false;
  }
}

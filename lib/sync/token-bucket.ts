// token-bucket.ts — how many bytes may go by in a time. Pure: whoever asks brings the time, in milliseconds that never go back.
// Invariant: over any span of time no more goes by than the rate allows for it, and a burst, and one message: what goes by is spent
// afterwards, whole, and makes those behind it wait.

/** So much may come at once after a rest, in time at the rate. */
const BURST_MS = 250;

export class TokenBucket {
  private rate: number | null = null;
  /** In thousandths of a byte, so that whole milliseconds at a whole rate come to whole numbers. */
  private balance = 0;
  private atMs = 0;

  /** Bytes per second; null: no limit. What was spent before counts on. */
  limit(bytesPerS: number | null, nowMs: number): void {
    this.refill(nowMs);
    if (bytesPerS === null) this.balance = 0;
    else if (this.rate === null) this.balance = bytesPerS * BURST_MS;
    this.rate = bytesPerS;
  }

  get bytesPerS(): number | null {
    return this.rate;
  }

  isOpen(nowMs: number): boolean {
    this.refill(nowMs);
    return this.rate === null || this.balance > 0;
  }

  spend(bytes: number, nowMs: number): void {
    this.refill(nowMs);
    if (this.rate !== null) this.balance -= bytes * 1000;
  }

  /** Until it is open, unless something is spent meanwhile. */
  waitMs(nowMs: number): number {
    if (this.isOpen(nowMs)) return 0;
    return Math.floor(-this.balance / this.rate!) + 1;
  }

  private refill(nowMs: number): void {
    if (this.rate !== null) {
      const earned = (nowMs - this.atMs) * this.rate;
      this.balance = Math.min(this.rate * BURST_MS, this.balance + earned);
    }
    this.atMs = nowMs;
  }
}

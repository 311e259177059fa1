// transfer-rate.ts — how fast a count of bytes has been growing of late. Pure: whoever samples brings the time.
// Invariant: the rate is over the last WINDOW_MS, or since the first sample; a count that begins anew (a new link) is no step back.

const WINDOW_MS = 5000;

export class TransferRate {
  private readonly samples: { atMs: number; bytes: number }[] = [];
  private total = 0;
  private lastCount = 0;

  /** `count`: bytes of the link in use so far. */
  sample(nowMs: number, count: number): void {
    this.total += count >= this.lastCount ? count - this.lastCount : count;
    this.lastCount = count;
    this.samples.push({ atMs: nowMs, bytes: this.total });
    while (this.samples.length > 2 && this.samples[1]!.atMs <= nowMs - WINDOW_MS) this.samples.shift();
  }

  /** Bytes per second. */
  get bytesPerS(): number {
    const first = this.samples[0];
    const last = this.samples.at(-1);
    if (!first || !last || last.atMs === first.atMs) return 0;
    return Math.round(((last.bytes - first.bytes) * 1000) / (last.atMs - first.atMs));
  }
}

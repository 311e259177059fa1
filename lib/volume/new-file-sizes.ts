// new-file-sizes.ts — whether a file that is about to be created will stay small, judged by those before it.
// Why guess: what the kernel writes to a local file by itself has to be in one from the beginning, and a local file costs a small file
// more than the request that it saves, mostly for truncating it (40 to 170 µs on ext4), a large one nothing. Small files that anybody
// waits for come in bursts; one alone can afford it. A wrong guess costs time and nothing else.

import { SMALL_CONTENT_MAX } from '../chunks/small-content.js';

/** A file that is created so soon after a small one was written is likely to be small, ms. */
const BURST_MS = 100;

export class NewFileSizes {
  private lastSmallMs = -Infinity;

  constructor(private readonly monotonicMs: () => number) {}

  /** A new file was released with so many bytes. */
  closed(size: number): void {
    this.lastSmallMs = size <= SMALL_CONTENT_MAX ? this.monotonicMs() : -Infinity;
  }

  get isNextSmall(): boolean {
    return this.monotonicMs() - this.lastSmallMs < BURST_MS;
  }
}

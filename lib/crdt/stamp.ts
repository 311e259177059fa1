// stamp.ts — the hybrid logical clock that stamps changes: microseconds since 1970, as close to wall time as order allows.
// Invariant: strictly increasing per site, and above every stamp that the site has seen. Pure: the caller reads the clock.
// After Kulkarni et al., "Logical Physical Clocks" (2014), with the logical part folded into the microseconds.

/** How far ahead of this site's wall clock a stamp may be before it is reported, microseconds. */
export const MAX_DRIFT_US = 5 * 60 * 1_000_000;

export class HybridClock {
  #last: number;

  /** @param last the highest stamp that was given out or seen before a restart; 0 for a new site */
  constructor(last = 0) {
    this.#last = last;
  }

  /** The highest stamp given out or seen. */
  get last(): number {
    return this.#last;
  }

  /** A new stamp. */
  next(nowUs: number): number {
    this.#last = Math.max(this.#last + 1, Math.floor(nowUs));
    return this.#last;
  }

  /**
   * Takes note of another site's stamp. It is always accepted, for sites must converge whatever their clocks say.
   * @returns by how many microseconds it is ahead of now, when that is more than MAX_DRIFT_US: a clock to be put right; else 0
   */
  observe(stampUs: number, nowUs: number): number {
    if (stampUs > this.#last) this.#last = stampUs;
    const ahead = stampUs - nowUs;
    return ahead > MAX_DRIFT_US ? ahead : 0;
  }
}

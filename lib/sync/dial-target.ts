// dial-target.ts — one address that this site wants a link to: dials it, and again after a growing pause, until told to rest.
// The pause doubles from 0.2 s to 30 s and is jittered, so that sites that lost each other at once do not all come back at once.

import type { SyncClock, SyncRandom } from './ports.js';
import type { SiteId } from '../crdt/ids.js';

const FIRST_PAUSE_MS = 200;
const LONGEST_PAUSE_MS = 30_000;
/** A site dials those whom it resumes. Asking one that paused the link is for where it cannot reach us, e.g. behind a router. */
export const PAUSED_RETRY_MS = 5000;

/** The pause before the next attempt, after so many failed ones in a row; `jitter` in [0, 1). */
export function pauseMs(failures: number, jitter: number, longestMs = LONGEST_PAUSE_MS): number {
  if (failures === 0) return 0;
  return Math.min(longestMs, FIRST_PAUSE_MS * 2 ** Math.min(failures - 1, 20)) * (0.5 + jitter / 2);
}

export class DialTarget {
  /** The site that answered there last. */
  siteId: SiteId | null = null;
  lastError: string | null = null;
  paused = false;
  private failures = 0;
  private attempting = false;
  private scheduled = false;
  private cancel: () => void = () => {};

  constructor(
    /** HOST:PORT */
    readonly address: string,
    /** Dialled until removed; otherwise once. */
    readonly lasting: boolean,
    private readonly clock: SyncClock,
    private readonly random: SyncRandom,
    /** Starts an attempt, which ends by rest(), connected() or failed(); the result cancels it. */
    private readonly attempt: (target: DialTarget) => () => void,
  ) {}

  /** An attempt runs, or the first one after a success or a user's wish is due: what comes of it is not known yet. */
  get undecided(): boolean {
    return (this.attempting || this.scheduled) && this.failures === 0;
  }

  /** Dials at once, whatever failed before. */
  pursue(): void {
    this.failures = 0;
    if (!this.attempting) this.start();
  }

  /** The attempt led to a link in use. */
  connected(): void {
    this.rest();
    this.lastError = null;
  }

  /** The attempt failed, or the link broke so soon that it counts as that. */
  failed(reason: string, longestMs?: number): void {
    this.rest();
    this.lastError = reason;
    this.failures++;
    this.scheduled = true;
    this.cancel = this.clock.setTimer(pauseMs(this.failures, this.random.jitter(), longestMs), () => this.start());
  }

  /** What failed before counts no longer. */
  forgive(): void {
    this.failures = 0;
  }

  /** Neither dials nor will. */
  rest(): void {
    this.cancel();
    this.cancel = () => {};
    this.attempting = false;
    this.scheduled = false;
  }

  private start(): void {
    this.rest();
    this.attempting = true;
    this.cancel = this.attempt(this);
  }
}

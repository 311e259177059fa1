// durable-commits.ts — makes commits survive power loss, off the site thread, and says which do.
// Invariant: what the vector says is on stable storage, its objects first. The site thread commits without waiting for the disk;
// a sync here covers every commit made before it began, so under load many commits share one. How long commits wait for company is
// asked of the owner; whoever waits for one of them is not kept waiting.

import type { ActorId } from '../crdt/ids.js';
import type { FromSite } from './thread-protocol.js';

type Committed = Extract<FromSite, { type: 'committed' }>;

export class DurableCommits {
  /** What is durable: highest seq by actor. */
  readonly vector = new Map<ActorId, number>();
  /** Objects that were missing at the last durable commit. */
  missing = 0;
  /** From which change on there was something at that commit which no other site is known to keep; null: nothing. */
  unsharedFrom: number | null = null;
  /** Commits of the state that are durable, over all starts of the site. */
  commits = 0;
  private readonly waiting: Committed[] = [];
  private readonly waiters: { commit: number; resolve: () => void; reject: (error: Error) => void }[] = [];
  private running = false;
  private durableCommit = 0;
  private beingSynced = 0;
  private failure: Error | null = null;
  private endPause: (() => void) | null = null;

  constructor(
    /** Puts these paths, then every commit made before the call, on stable storage. Rejects when the disk fails. */
    private readonly sync: (unsynced: readonly string[]) => Promise<void>,
    /** Called after the vector or `missing` changed. */
    private readonly advanced: (commit: number) => void,
    private readonly failed: (error: Error) => void,
    /** How long the commits that wait now may wait for others to share their sync, ms. Asked again after {@link reconsider}. */
    private readonly mayWaitMs: () => number = () => 0,
  ) {}

  /** The last commit heard of, durable or not. */
  get lastReported(): number {
    return this.waiting.at(-1)?.commit ?? this.beingSynced;
  }

  /** The last commit that is durable. */
  get lastDurable(): number {
    return this.durableCommit;
  }

  committed(message: Committed): void {
    this.waiting.push(message);
    if (!this.running) void this.run();
  }

  /** Resolves when this commit is durable; rejects when the disk fails. */
  reached(commit: number): Promise<void> {
    if (this.failure) return Promise.reject(this.failure);
    if (commit <= this.durableCommit) return Promise.resolve();
    return new Promise((resolve, reject) => {
      this.waiters.push({ commit, resolve, reject });
      this.reconsider();
    });
  }

  /** Resolves when nothing is being synced any more, for all commits heard of are durable or the disk failed, which was told. */
  settled(): Promise<void> {
    return this.reached(this.lastReported).catch((error: unknown) => {
      if (error !== this.failure) throw error;
    });
  }

  /** What `mayWaitMs` answers may have become less. */
  reconsider(): void {
    this.endPause?.();
  }

  private async run(): Promise<void> {
    this.running = true;
    try {
      while (this.waiting.length > 0) {
        await this.company();
        await this.makeDurable(this.waiting.splice(0));
      }
    } catch (error) {
      // After a failed sync nobody knows what is on the disk: nothing may be called durable any more (fsync(2), EIO).
      this.failure = error as Error;
      for (const { reject } of this.waiters.splice(0)) reject(this.failure);
      this.failed(this.failure);
    } finally {
      this.running = false;
    }
  }

  /** Lets commits come together that nobody waits for. */
  private async company(): Promise<void> {
    while (this.waiters.length === 0) {
      const waitMs = this.mayWaitMs();
      if (waitMs <= 0) return;
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, waitMs).unref(); // an orderly stop waits for the last commit
        this.endPause = (): void => {
          clearTimeout(timer);
          resolve();
        };
      });
      this.endPause = null;
    }
  }

  private async makeDurable(batch: readonly Committed[]): Promise<void> {
    if (this.failure) return;
    this.beingSynced = batch.at(-1)!.commit;
    await this.sync([...new Set(batch.flatMap(({ unsynced }) => unsynced))]);
    // Where others write all the time, something is always on its way at the end: that nothing was missing just before is news as well.
    const whole = batch.findLastIndex(({ missing }) => missing === 0) + 1;
    for (const part of [batch.slice(0, whole), batch.slice(whole)]) this.tell(part);
    for (let i = this.waiters.length - 1; i >= 0; i--) {
      if (this.waiters[i]!.commit <= this.durableCommit) this.waiters.splice(i, 1)[0]!.resolve();
    }
  }

  private tell(batch: readonly Committed[]): void {
    if (batch.length === 0) return;
    for (const { commit, vector, missing, unsharedFrom, commits } of batch) {
      for (const [actor, seq] of vector) this.vector.set(actor, seq);
      this.missing = missing;
      this.unsharedFrom = unsharedFrom;
      this.commits = commits;
      this.durableCommit = commit;
    }
    this.advanced(this.durableCommit);
  }
}

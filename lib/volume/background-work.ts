// background-work.ts — what a volume does between calls: takes in what other sites wrote, gives files that nobody writes to any more
// their version, merges concurrent versions, folds what is due, and drops what the journal needs no more.
// Invariant: work comes in slices that end when the caller says so. Nothing of other sites comes into an open commit, whose op ids
// were given out already.

import type { ContentMerges } from './content-merges.js';
import type { Drafts } from './drafts.js';
import type { Folding } from './folding.js';
import type { Membership } from './membership.js';
import type { Truncating } from './truncating.js';
import type { VolumeClock } from './ports.js';
import type { Publishing } from './publishing.js';
import type { RemoteChanges } from './remote-changes.js';
import type { VolumeRegisters } from './volume-registers.js';

const IDLE_CHECK_MS = 250;

export class BackgroundWork {
  private idleCheckMs = 0;

  constructor(
    private readonly clock: VolumeClock,
    private readonly folding: Folding,
    private readonly drafts: Drafts,
    private readonly publishing: Publishing,
    private readonly merges: ContentMerges,
    private readonly remote: RemoteChanges,
    private readonly registers: VolumeRegisters,
    private readonly membership: Membership,
    private readonly truncating: Truncating,
  ) {}

  /**
   * Work for when no call waits, and now and then when calls keep coming: until nothing is left that could be done now (false), or
   * `isOver` says that the slice is used up (true).
   */
  run(isOver: () => boolean): boolean {
    if (this.publishing.gaveUpWaiting()) this.folding.commitSoon();
    this.folding.foldIfDue();
    if (this.remote.waiting && !isOver()) {
      this.folding.foldAll();
      this.remote.apply(isOver);
      this.registers.settleSlot();
      this.membership.endorse(this.remote.tookRoles());
      this.mergeVersions(isOver);
      this.folding.commit();
    }
    const now = this.clock.monotonicMs();
    if (this.drafts.count > 0 && now - this.idleCheckMs >= IDLE_CHECK_MS) {
      this.idleCheckMs = now;
      this.publishing.publishIdle();
      this.folding.foldOpen();
    }
    if (this.mergesDue) {
      this.mergeVersions(isOver);
      this.folding.foldOpen();
    }
    if (!this.remote.waiting) this.truncating.work(isOver);
    return this.remote.waiting || this.mergesDue || this.truncating.due;
  }

  /** A slice of merging; what it gives is part of the open commit. */
  mergeVersions(isOver: () => boolean): void {
    if (!this.mergesDue || isOver()) return;
    this.folding.foldOpen(); // a merge asks the journal for the versions that it is made of
    this.merges.work(isOver);
  }

  /** Whether a version is still being made of something that was written, or of concurrent versions that are all here. */
  get isPublishing(): boolean {
    return this.publishing.ingesting || this.mergesDue || this.merges.ingesting;
  }

  /** See {@link Publishing.unpackedCount}. */
  get unpackedCount(): number {
    return this.publishing.unpackedCount;
  }

  /** How long the thread may sleep when nothing happens, in milliseconds; -1: for ever. */
  get nextTimeoutMs(): number {
    if (this.mergesDue || this.truncating.due) return 1;
    const foldInMs = this.folding.dueInMs();
    const isWaiting = this.drafts.count > 0 || !this.publishing.awaited.isEmpty;
    const isLookedAt = isWaiting || this.remote.lackRoom;
    const dueInMs = isLookedAt ? Math.min(foldInMs, IDLE_CHECK_MS) : foldInMs;
    return dueInMs === Infinity ? -1 : Math.max(1, Math.ceil(dueInMs));
  }

  /** A site without a slot of inode numbers, or one that may not write, writes nothing. */
  private get mergesDue(): boolean {
    const { mayWrite, hasNumbers } = this.membership;
    return this.merges.busy && this.registers.mayWrite && mayWrite && hasNumbers;
  }
}

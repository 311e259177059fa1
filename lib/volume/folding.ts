// folding.ts — when what is open becomes a commit, how commits are numbered, and what may go once they are on stable storage.
// Invariant: the intent log keeps what a commit holds until that commit is durable, and what an open draft needs however long it is open.
// Commits are numbered from 1 at each start; who makes them durable hears of each and answers with the number. How operations become a
// commit is not here: see commits.ts.

import type { ObjectStore } from '../chunks/object-store.js';
import type { IntentLog } from '../journal/intent-log.js';
import type { Journal } from '../journal/journal.js';
import type { Commits } from './commits.js';
import type { Drafts } from './drafts.js';
import type { VolumeClock } from './ports.js';
import type { Publishing } from './publishing.js';
import type { SpaceGuard } from './space-guard.js';
import type { StableStorage } from './stable-storage.js';

/** Log records that may wait for drafts before these are written to the database instead, in bytes. */
const LOG_LIMIT_BYTES = 64 * 2 ** 20;
/** A commit is folded when nothing was added to it for this long: a single change is at the peers soon after … */
const FOLD_QUIET_MS = 1.5;
/** … and when it is this old: callers in a row share one fold, whose cost is mostly that of the pages it touches. */
const FOLD_AGE_MS = 15;
/**
 * As long as the last fold took, none is due, so that folding takes at most half of the time: it writes each changed inode whole, and one
 * with tens of thousands of names is megabytes. At most this long: what took longer is a fold during which the machine slept.
 */
const FOLD_REST_MAX_MS = 250;

/** What a commit lets go of once it is durable. */
interface Folded {
  /** Log records up to this one. */
  readonly lsn: number;
  /** Local files of drafts that ended with it. */
  readonly ended: readonly string[];
}

export class Folding {
  private readonly folded = new Map<number, Folded>();
  private pendingSinceMs = Infinity;
  /** When the last fold is paid for. */
  private restedMs = -Infinity;
  /** The next fold is a commit even if it holds no change. */
  private isWanted = false;
  private isDueNow = false;
  /** A commit that can wait for others is due then. */
  private lateDueMs = Infinity;

  constructor(
    private readonly journal: Journal,
    private readonly log: IntentLog,
    private readonly objects: ObjectStore,
    private readonly commits: Commits,
    private readonly drafts: Drafts,
    private readonly publishing: Publishing,
    private readonly stable: StableStorage,
    private readonly space: SpaceGuard,
    private readonly clock: VolumeClock,
    /** Told of each commit. */
    private readonly committed: () => void,
  ) {}

  /** Publishes what was closed and commits everything up to now. Returns the number of the last commit. Throws when the disk failed. */
  fold(): number {
    this.stable.check();
    const startedMs = this.clock.monotonicMs();
    this.publishing.publish();
    if (this.log.sizeBytes > LOG_LIMIT_BYTES && this.drafts.count > 0) {
      this.drafts.persist();
      this.isWanted = true;
    }
    this.drafts.note();
    this.objects.flush();
    this.objects.named(this.journal.changeCount + (this.commits.writesChange ? 1 : 0));
    const { holdsRemoteChanges } = this.commits;
    const changed = this.commits.fold();
    this.objects.committed();
    if (changed || this.isWanted) {
      this.isWanted = false;
      this.lateDueMs = Infinity;
      this.stable.commit(holdsRemoteChanges);
      this.folded.set(this.lastCommit, {
        lsn: Math.min(this.journal.foldedLsn, this.drafts.logFloor - 1),
        ended: this.drafts.takeEnded(),
      });
      this.committed();
      this.journal.relax();
    }
    const endedMs = this.clock.monotonicMs();
    this.restedMs = endedMs + Math.min(endedMs - startedMs, FOLD_REST_MAX_MS);
    return this.lastCommit;
  }

  /** Like {@link fold}, after something changed that is no operation, such as which objects are held: that is a commit too. */
  commit(): number {
    this.isWanted = true;
    return this.fold();
  }

  /** Commits the operations that wait, if any do. */
  foldOpen(): void {
    if (this.commits.open) this.fold();
  }

  /** Publishes what was closed and commits the operations that wait, if there is either: changes of other sites may be applied then. */
  foldAll(): void {
    if (this.commits.open || this.publishing.hasClosed) this.fold();
  }

  /** Asks for a {@link commit}, from where none can be made. */
  commitSoon(): void {
    this.isDueNow = true;
  }

  /** Asks for a {@link commit}, unless another one comes first. */
  commitWithin(delayMs: number): void {
    this.lateDueMs = Math.min(this.lateDueMs, this.clock.monotonicMs() + delayMs);
  }

  /** Folds if it is time to. */
  foldIfDue(): void {
    if (this.isDueNow || this.clock.monotonicMs() >= this.lateDueMs) {
      this.isDueNow = false;
      this.commit();
    }
    if (this.dueInMs() <= 0) this.fold();
  }

  /** Milliseconds until the next fold is due; Infinity: nothing to fold. */
  dueInMs(): number {
    if (this.isDueNow) return 0;
    const now = this.clock.monotonicMs();
    if (!this.commits.open && !this.publishing.hasClosed) {
      this.pendingSinceMs = Infinity;
      return this.lateDueMs - now;
    }
    this.pendingSinceMs = Math.min(this.pendingSinceMs, now);
    if (this.space.isFull) return 0;
    const askedMs = Math.min(this.commits.lastWriteMs + FOLD_QUIET_MS, this.pendingSinceMs + FOLD_AGE_MS);
    return Math.max(askedMs, this.restedMs) - now;
  }

  /** The number of the last commit. */
  get lastCommit(): number {
    return this.stable.lastCommit;
  }

  /** Whether commits should become durable soon, because the log that they are in has grown. */
  get logPressing(): boolean {
    return this.log.sizeBytes > LOG_LIMIT_BYTES / 2;
  }

  /** The commits up to this one are on stable storage: what only recovery needed may go. Returns local files to be removed. */
  durable(commit: number): string[] {
    this.stable.durable(commit);
    // That packs are synced is noted in the state at once where nothing else is about to be committed.
    if (this.objects.durable(commit) && this.dueInMs() === Infinity) this.fold();
    const files: string[] = [];
    let lsn = 0;
    for (const [number, folded] of this.folded) {
      if (number > commit) break;
      lsn = folded.lsn;
      files.push(...folded.ended);
      this.folded.delete(number);
    }
    if (lsn > 0) this.log.release(lsn);
    return files;
  }
}

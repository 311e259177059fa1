// stable-storage.ts — which commits are on stable storage, and what has to get there before an fsync(2) may return.
// Invariant: the intent log is never made durable before the changes of other sites that its records build on, and a version that fsync
// covered has its objects in synced packs, or its bytes in the log. Commits become durable on another thread anyway, soon; only
// who cannot wait for that syncs here. Commits of earlier starts count as number 0.

import type { Ino } from '../crdt/ids.js';
import type { ObjectStore } from '../chunks/object-store.js';
import type { IntentLog } from '../journal/intent-log.js';
import type { Journal } from '../journal/journal.js';

/** Of what needs no commit to be durable. */
export const NO_COMMIT = -1;

export class StableStorage {
  private committed = 0;
  /** Durable is this commit, and all before it. */
  private durableCommit = NO_COMMIT;
  /** The last one with changes of other sites. */
  private remoteCommit = 0;
  /** Of the last version of a file, where that may not be durable. */
  private readonly versionCommits = new Map<Ino, number>();

  constructor(
    private readonly log: IntentLog,
    private readonly journal: Journal,
    private readonly objects: ObjectStore,
    /** Told that {@link check} will throw. */
    private readonly failed: () => void,
  ) {}

  /** Number of the last commit. */
  get lastCommit(): number {
    return this.committed;
  }

  /** The next commit was made. */
  commit(holdsRemoteChanges: boolean): void {
    this.committed++;
    if (holdsRemoteChanges) this.remoteCommit = this.committed;
  }

  /** The commits up to this one are on stable storage. */
  durable(commit: number): void {
    this.durableCommit = Math.max(this.durableCommit, commit);
    for (const [ino, version] of this.versionCommits) if (version <= commit) this.versionCommits.delete(ino);
  }

  /** The open commit has a version of this file. */
  wroteVersion(ino: Ino): void {
    this.versionCommits.set(ino, this.committed + 1);
  }

  /** Makes a file's version durable, and every operation so far. */
  syncVersion(ino: Ino): void {
    this.sync(this.versionCommits.get(ino) ?? 0);
  }

  /** Makes this commit durable, if it is not, and then every operation so far. Waits for the disk. */
  sync(commit = NO_COMMIT): void {
    try {
      if (Math.max(commit, this.remoteCommit) > this.durableCommit) {
        this.objects.sync();
        this.journal.sync();
        this.durableCommit = this.committed;
      }
      this.log.sync();
    } catch (error) {
      this.failed();
      throw error;
    }
  }

  /**
   * After a sync that failed nobody knows what is on the disk, and no later one will tell.
   * @throws what it, or a commit, failed with: nothing may be called durable any more
   */
  check(): void {
    this.objects.checkSynced();
    this.journal.check();
    this.log.checkSynced();
  }
}

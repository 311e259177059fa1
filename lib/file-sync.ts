// file-sync.ts — making what was written under a path survive power loss. For all layers that touch the disk; none of the pure files.
// Not for SQLite's main file or its -shm: closing any descriptor of those drops the process's POSIX locks on them
// (https://www.sqlite.org/howtocorrupt.html#_posix_advisory_locks_canceled_by_a_separate_thread_doing_close_).

import { closeSync, fsyncSync, openSync } from 'node:fs';
import { markFailedSync } from './failed-sync-mark.js';

/** fsync(2) of a file, or of a directory: then its new, renamed and removed entries are durable. */
export function syncPath(path: string): void {
  const fd = openSync(path, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/**
 * Syncs of one thing, which all fail once one of them did. The system says once to each descriptor that it could not write something, and
 * does not try again: the next fsync(2) succeeds, and what it was asked for is not on the disk (fsync(2), "BUGS"; "Can Applications
 * Recover from fsync Failures?", USENIX ATC 2020). The state directory is marked: see failed-sync-mark.ts.
 */
export class LastingSync {
  private failure: unknown = null;

  constructor(private readonly stateDirectory: string) {}

  get hasFailed(): boolean {
    return this.failure !== null;
  }

  /** @throws what `sync` throws, and from then on always that */
  run<T>(sync: () => T): T {
    this.check();
    try {
      return sync();
    } catch (error) {
      this.fail(error);
    }
  }

  /** The same of one that does not block this thread. */
  async runAside(sync: () => Promise<void>): Promise<void> {
    this.check();
    try {
      await sync();
    } catch (error) {
      this.fail(error);
    }
  }

  private fail(error: unknown): never {
    this.failure ??= error;
    markFailedSync(this.stateDirectory);
    throw error;
  }

  /** @throws what the sync that failed threw */
  check(): void {
    if (this.failure !== null) throw this.failure;
  }
}

// file-sync.ts — making what was written under a path survive power loss. For all layers that touch the disk; none of the pure files.
// Not for SQLite's main file or its -shm: closing any descriptor of those drops the process's POSIX locks on them
// (https://www.sqlite.org/howtocorrupt.html#_posix_advisory_locks_canceled_by_a_separate_thread_doing_close_).

import { closeSync, fstatSync, fsyncSync, openSync, readSync, writeSync } from 'node:fs';
import { markFailedSync } from './failed-sync-mark.js';
import { seekData, seekHole, setModified } from './file-calls.js';

const REWRITE_BYTES = 1 << 20;

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
 * Writes a file again as it is, and syncs it: also what the system has given up to write is then on the disk. Its time of modification stays.
 * @param fromBytes what lies before is known to be there
 * @throws Error of node:fs, and PosixError
 */
export function rewriteFile(path: string, fromBytes = 0): void {
  const fd = openSync(path, 'r+');
  try {
    const { mtimeNs } = fstatSync(fd, { bigint: true });
    const buffer = Buffer.allocUnsafe(REWRITE_BYTES);
    for (let at = seekData(fd, fromBytes); at >= 0; at = seekData(fd, at)) {
      const end = seekHole(fd, at);
      while (at < end) {
        const count = readSync(fd, buffer, 0, Math.min(buffer.length, end - at), at);
        for (let done = 0; done < count;) done += writeSync(fd, buffer, done, count - done, at + done);
        at += count;
        setModified(fd, mtimeNs);
      }
    }
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

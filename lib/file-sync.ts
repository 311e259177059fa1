// file-sync.ts — making what was written under a path survive power loss. For all layers that touch the disk; none of the pure files.
// Not for SQLite's main file or its -shm: closing any descriptor of those drops the process's POSIX locks on them
// (https://www.sqlite.org/howtocorrupt.html#_posix_advisory_locks_canceled_by_a_separate_thread_doing_close_).

import { closeSync, fsyncSync, openSync } from 'node:fs';

/** fsync(2) of a file, or of a directory: then its new, renamed and removed entries are durable. */
export function syncPath(path: string): void {
  const fd = openSync(path, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

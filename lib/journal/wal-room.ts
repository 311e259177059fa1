// wal-room.ts — disk space for the commits to come, taken before there is none.
// Why: a commit that does not fit on a full disk ends the daemon, for what the caches hold is not what the state holds then. Changes are
// refused long before (volume/space-guard.ts), but a program that writes past the daemon, or to the same disk elsewhere, is not.
// Invariant: the length of SQLite's log is not changed by this: the blocks lie behind its end (fallocate(2), FALLOC_FL_KEEP_SIZE).

import { closeSync, openSync } from 'node:fs';
import { PosixError } from '../errno.js';
import { fallocate } from '../file-calls.js';
import { statePath, walPath } from './schema.js';

const FALLOC_FL_KEEP_SIZE = 1;
/** What removing things may take of it until there is space again: some thousand commits. */
const ROOM_BYTES = 16 << 20;

export class WalRoom {
  private readonly path: string;
  /** Up to here the log has blocks, as far as is known. */
  private endBytes = 0;

  /** Of a directory where a Journal is open. */
  constructor(directory: string) {
    this.path = walPath(statePath(directory));
  }

  /**
   * Sees to it that there is room behind the part of the log that is in use.
   * @returns false when the disk has none, or its filesystem cannot do it
   */
  keep(walBytes: number): boolean {
    if (this.endBytes - walBytes >= ROOM_BYTES / 2) return true;
    // No lock of SQLite is on this file: closing it drops none.
    const fd = openSync(this.path, 'r+');
    try {
      fallocate(fd, FALLOC_FL_KEEP_SIZE, walBytes, ROOM_BYTES);
      this.endBytes = walBytes + ROOM_BYTES;
      return true;
    } catch (error) {
      if (!(error instanceof PosixError)) throw error;
      return false;
    } finally {
      closeSync(fd);
    }
  }
}

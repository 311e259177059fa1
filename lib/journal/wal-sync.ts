// wal-sync.ts — puts SQLite's write-ahead log on stable storage: then every commit made before is, for what is not in it any more was
// synced into the database file before its place was used again.
// Invariant: one descriptor as long as the state is open. The system says once to each descriptor that it could not write something; one
// that is opened afterwards hears of success.

import { closeSync, fdatasync, fdatasyncSync, openSync } from 'node:fs';
import { promisify } from 'node:util';
import { LastingSync } from '../file-sync.js';
import { statePath, walPath } from './schema.js';

const fdatasyncAside = promisify(fdatasync);

export class WalSync {
  private descriptor = -1;
  private readonly lastingSync: LastingSync;

  /** Of a directory where a Journal is open, until {@link close}. */
  constructor(private readonly directory: string) {
    this.lastingSync = new LastingSync(directory);
  }

  /** Waits for the disk. Fails for good once it failed. */
  run(): void {
    this.lastingSync.run(() => fdatasyncSync(this.open()));
  }

  /** The same without blocking this thread: what was committed before the call is on stable storage when it resolves. */
  runAside(): Promise<void> {
    return this.lastingSync.runAside(() => fdatasyncAside(this.open()));
  }

  /** @throws what made a sync fail */
  check(): void {
    this.lastingSync.check();
  }

  private open(): number {
    if (this.descriptor < 0) this.descriptor = openSync(walPath(statePath(this.directory)), 'r');
    return this.descriptor;
  }

  close(): void {
    // No lock of SQLite is on this file: closing it drops none.
    if (this.descriptor >= 0) closeSync(this.descriptor);
    this.descriptor = -1;
  }
}

// checkpointer.ts — keeps SQLite's write-ahead log short, from a thread other than the site's.
// Invariant: never waits for the site thread and never makes it wait; holds no read transaction between calls.
//
// How the log gets short: frames are copied into the database by passive checkpoints here. SQLite starts the log over from its
// beginning when a writer begins a transaction at a moment when every frame was copied and no reader needs one. The site thread
// holds a transaction nearly always, so such a moment must be made. While it works, passes here copy what it committed before;
// each pass leaves only what was committed meanwhile, so the rest shrinks to a few commits. Journal.relax(), called between two
// transactions, copies that rest itself, and the next transaction starts the log over. To keep relax() short a pass also syncs the
// database file: SQLite does so only at the end of a complete checkpoint. Should the site write faster than passes here can
// copy, Journal.commit() stops and copies at four times the target; for a read in its way it waits, but not long.
// The log file never shrinks below its target; what counts is the part in use.

import { fdatasyncSync, openSync } from 'node:fs';
import type { Connection } from './schema.js';
import { openStateCheckpointer, settleState, statePath } from './schema.js';
import { DEFAULT_WAL_TARGET_BYTES, Wal } from './wal.js';

export interface CheckpointerOptions {
  /** The journal's walTargetBytes; passes begin at half of it. */
  readonly walTargetBytes?: number;
}

/** Less than this is left to later: a pass costs syncs. */
const MIN_PASS_BYTES = 2 * 2 ** 20;

export class Checkpointer {
  private readonly db: Connection;
  private readonly wal: Wal;
  private readonly descriptor: number;
  private readonly startBytes: number;
  /** Of the log in use at the last {@link poll}. */
  walBytes = 0;

  private constructor(
    private readonly path: string,
    walTargetBytes: number,
  ) {
    this.db = openStateCheckpointer(path);
    this.descriptor = lastingDescriptor(path);
    this.wal = new Wal(this.db);
    this.startBytes = walTargetBytes / 2;
  }

  /** Opens the state of a directory where a Journal is open. */
  static open(directory: string, options: CheckpointerOptions = {}): Checkpointer {
    return new Checkpointer(statePath(directory), options.walTargetBytes ?? DEFAULT_WAL_TARGET_BYTES);
  }

  /** Makes a pass when it is worth one; blocks this thread for as long as the disk takes. @returns whether it did */
  poll(): boolean {
    const { walBytes, backlogBytes, isBusy } = this.wal.read();
    if (!isBusy) this.walBytes = walBytes;
    if (walBytes < this.startBytes || backlogBytes < MIN_PASS_BYTES) return false;
    this.wal.checkpoint();
    fdatasyncSync(this.descriptor);
    return true;
  }

  close(): void {
    this.db.close();
    settleState(this.path);
  }
}

const lasting = new Map<string, number>();

/**
 * A descriptor of a database file for syncing it. It stays open as long as the process lives, because closing it would drop the
 * POSIX locks that SQLite holds on the file for this process (https://www.sqlite.org/howtocorrupt.html, 2.2).
 */
function lastingDescriptor(path: string): number {
  let descriptor = lasting.get(path);
  if (descriptor === undefined) lasting.set(path, (descriptor = openSync(path, 'r')));
  return descriptor;
}

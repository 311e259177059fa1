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

import { fdatasyncSync, openSync, statSync } from 'node:fs';
import type { ErrnoCode } from '../errno.js';
import type { Connection } from './schema.js';
import { openStateCheckpointer, settleState, shmPath, statePath } from './schema.js';
import { giveBackStateRoom, StateRoom } from './state-room.js';
import { DEFAULT_WAL_TARGET_BYTES, SHORT_WAL_BYTES, Wal } from './wal.js';

export interface CheckpointerOptions {
  /** The journal's walTargetBytes; passes begin at half of it. */
  readonly walTargetBytes?: number;
}

/** What {@link Checkpointer.poll} did: nothing was worth a pass, it made one, or began one that the full disk has no room for. */
export type Pass = 'none' | 'made' | 'lacksRoom';

/** Less than this is left to later: a pass costs syncs. */
const MIN_PASS_BYTES = 2 * 2 ** 20;

export class Checkpointer {
  private readonly db: Connection;
  private readonly wal: Wal;
  private readonly descriptor: number;
  private readonly room: StateRoom;
  private startBytes = 0;
  private walBytes = 0;

  private constructor(
    private readonly path: string,
    private readonly walTargetBytes: number,
  ) {
    this.db = openStateCheckpointer(path);
    this.descriptor = lastingDescriptor(path);
    this.room = new StateRoom(path, this.descriptor, lastingDescriptor(shmPath(path)));
    this.wal = new Wal(this.db);
    this.shorten(false);
  }

  /** Opens the state of a directory where a Journal is open. */
  static open(directory: string, options: CheckpointerOptions = {}): Checkpointer {
    return new Checkpointer(statePath(directory), options.walTargetBytes ?? DEFAULT_WAL_TARGET_BYTES);
  }

  /** For the journal that is told the same ({@link Journal.shortenWal}). */
  shorten(isShort: boolean): void {
    this.startBytes = (isShort ? Math.min(SHORT_WAL_BYTES, this.walTargetBytes) : this.walTargetBytes) / 2;
  }

  /** Sees to room on the disk for the commits to come. Returns as {@link StateRoom.keep}. */
  keepRoom(): ErrnoCode | undefined {
    return this.room.keep(this.walBytes);
  }

  /** Of the log in use at the last {@link poll}. */
  get logBytes(): number {
    return this.walBytes;
  }

  /** Makes a pass when it may and it is worth one; blocks this thread for as long as the disk takes. */
  poll(mayPass = true): Pass {
    const { walBytes, backlogBytes, isBusy } = this.wal.read();
    if (!isBusy) this.walBytes = walBytes;
    if (!mayPass || walBytes < this.startBytes || backlogBytes < MIN_PASS_BYTES) return 'none';
    if (this.wal.checkpoint().lacksRoom) return 'lacksRoom';
    fdatasyncSync(this.descriptor);
    return 'made';
  }

  close(): void {
    this.db.close();
    giveBackStateRoom(this.path);
    settleState(this.path);
  }
}

const lasting = new Map<string, number>();

/**
 * A descriptor for writing of a file that SQLite locks. It stays open as long as the process lives, because closing it would drop the
 * POSIX locks that SQLite holds on the file for this process (https://www.sqlite.org/howtocorrupt.html, 2.2).
 */
function lastingDescriptor(path: string): number {
  const { dev, ino } = statSync(path);
  const key = `${dev}:${ino}`; // the index is another file after each time that nobody had the state open
  let descriptor = lasting.get(key);
  if (descriptor === undefined) lasting.set(key, (descriptor = openSync(path, 'r+')));
  return descriptor;
}

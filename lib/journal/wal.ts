// wal.ts — the length of SQLite's write-ahead log, and moving it into the database file.
// Invariant: only PASSIVE checkpoints: they never wait for a reader or a writer and never make one wait. See checkpointer.ts for
// how the log gets short again. Spec: https://www.sqlite.org/wal.html, https://www.sqlite.org/walformat.html

import { type Connection, explain, type Statement } from './schema.js';
import { isUsedUp } from './state-room.js';

export interface WalState {
  /** Another connection was at it: nothing was done, and the rest is 0. */
  readonly isBusy: boolean;
  /** Bytes of the frames in the log since it was last started over; the file may be longer. */
  readonly walBytes: number;
  /** Bytes of them that the database file does not have yet. */
  readonly backlogBytes: number;
}

/** What a checkpoint left. */
export interface CheckpointState extends WalState {
  /** The database file could not be made longer, for the disk is full: the log holds all that it held. */
  readonly lacksRoom: boolean;
}

interface CheckpointRow {
  readonly busy: number;
  readonly log: number;
  readonly checkpointed: number;
}

/** Large enough that a checkpoint writes a page once for many commits, small enough to be read back fast on start. */
export const DEFAULT_WAL_TARGET_BYTES = 128 * 2 ** 20;
/** The target while the disk is nearly full … */
export const SHORT_WAL_BYTES = 8 * 2 ** 20;
/** … and what is left of the file then when it starts over: no less than that with the room behind it (state-room.ts). */
export const SHORT_WAL_FILE_BYTES = 24 * 2 ** 20;

const FRAME_HEADER_BYTES = 24;

export class Wal {
  private readonly noop: Statement;
  private readonly passive: Statement;
  private readonly frameBytes: number;
  private readonly path: string;

  constructor(db: Connection) {
    this.path = db.name;
    this.noop = db.prepare('pragma wal_checkpoint(NOOP)');
    this.passive = db.prepare('pragma wal_checkpoint(PASSIVE)');
    this.frameBytes = (db.pragma('page_size', { simple: true }) as number) + FRAME_HEADER_BYTES;
  }

  /** Its state now, about 3 µs. Not inside a transaction. */
  read(): WalState {
    return this.toState(this.noop.get() as CheckpointRow);
  }

  /** Copies what no reader needs the log for into the database file, after making both durable. Not inside a transaction. */
  checkpoint(): CheckpointState {
    try {
      return { ...this.toState(this.passive.get() as CheckpointRow), lacksRoom: false };
    } catch (error) {
      const { code } = error as { code?: string };
      if (code !== 'SQLITE_FULL' && !(code === 'SQLITE_IOERR_WRITE' && isUsedUp(this.path)))
        throw explain(this.path, error);
      return { ...this.read(), lacksRoom: true };
    }
  }

  private toState({ busy, log, checkpointed }: CheckpointRow): WalState {
    const frames = Math.max(0, log);
    return {
      isBusy: busy !== 0,
      walBytes: frames * this.frameBytes,
      backlogBytes: (frames - Math.max(0, checkpointed)) * this.frameBytes,
    };
  }
}

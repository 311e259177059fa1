// draft.ts — the content of an inode that is being written: detached from its last version, not yet a version of its own.
// Invariant: a draft's bytes are in the intent log or in its working copy before write(2) returns; it ends only when a version
// with its bytes is committed, or when nothing can reach it any more.

import type { Ino, ObjectId, OpId } from '../crdt/ids.js';
import type { Timestamp } from '../crdt/inode.js';
import type { SmallContent } from '../chunks/small-content.js';
import type { FileStamp } from '../chunks/local-file.js';
import type { WorkingCopy } from '../chunks/working-copy.js';

export class Draft {
  readonly ino: Ino;
  /** The log position at which it began; names its local file. */
  readonly key: number;
  content: SmallContent | WorkingCopy;
  /** Head ops that the next version overwrites: those which the writer saw. */
  bases: readonly OpId[];
  mtime: Timestamp;
  /** The version that it began from, which recovery may begin it from once more; '' when it began from nothing. */
  base: ObjectId | '' = '';
  /** Counts changes; an ingest that finishes for an older generation is not the whole truth. */
  generation = 1;
  /** The generation that its version holds; as long as nothing was written, that which it started from. */
  published = 1;
  /** The generation that is being ingested; 0: none. */
  ingesting = 0;
  /** Monotonic milliseconds when no version could be made of it, and none was since; -Infinity: never. */
  failedAtMs = -Infinity;
  /** … since when none can be made of it: bytes that it is laid over are not here, or the disk is full. Infinity: nothing failed since the last. */
  failingSinceMs = Infinity;
  /**
   * fsync(2) covered it since it was last published: its pack must be on disk before the log lets go of its bytes, and after power loss
   * its local file can be relied on.
   */
  synced = false;
  /** … since the version that is being made was asked for. */
  syncedSinceAsked = false;
  /** The log position at which the last of its versions became part of the state; 0: none. */
  publishedLsn = 0;
  /** What the database says of {@link publishedLsn}; -1: it does not know of the draft. */
  rowPublishedLsn = -1;
  /** Whether the database holds all of it, as of some log position. */
  hasWholeRow = false;
  /** Its local file holds what neither stable storage nor the log does. */
  unsyncedFile = true;
  /** A commit that holds the version it began from; NO_COMMIT: it began from nothing. */
  baseCommit = 0;
  /** The log holds what its local file holds on no stable storage yet. */
  logHoldsData = false;
  /** fsync(2) is called on it: small writes to its local file go to the log too, so that syncing the log is enough. */
  logsData = false;
  /** Its local file may be given back (spare-files.ts): neither the state nor stable storage says that this inode's bytes are in it. */
  isSpare = false;
  /** Recovery: its local file held other inodes' bytes before, so that after power loss only a sync says whose it holds. */
  isUnproven = false;
  /** Monotonic milliseconds of the first change since it was last published. */
  dirtySinceMs: number;
  lastChangeMs: number;
  /** Intent log position from which it can be rebuilt. */
  logStart: number;

  /** Its file was removed, and the kernel refers to it no more: nobody can open it. */
  isForgotten = false;

  /** The kernel could write to its local file before the last start, and programs of then may have it open still. */
  isHeldByOthers = false;

  /** What the local file looked like when it was last seen; set once the kernel may write to it by itself. */
  seen: FileStamp | null = null;
  /** Bytes that the kernel took for it were cut off, and no fsync(2) has said so yet. */
  wasCut = false;
  /** Wall clock when that began, nanoseconds since 1970. */
  sharedAtNs = 0n;
  /** The latest change is only suspected: the kernel may have written at this time, which becomes the mtime if some byte differs. */
  suspected: Timestamp | null = null;

  constructor(
    ino: Ino,
    key: number,
    content: SmallContent | WorkingCopy,
    bases: readonly OpId[],
    mtime: Timestamp,
    nowMs: number,
  ) {
    this.ino = ino;
    this.key = key;
    this.content = content;
    this.bases = bases;
    this.mtime = mtime;
    this.logStart = key;
    this.dirtySinceMs = nowMs;
    this.lastChangeMs = nowMs;
  }

  get dirty(): boolean {
    return this.published !== this.generation;
  }

  changed(mtime: Timestamp, nowMs: number): void {
    if (!this.dirty) this.dirtySinceMs = nowMs;
    this.lastChangeMs = nowMs;
    this.generation++;
    this.mtime = mtime;
    this.suspected = null;
  }

  /** Its bytes are in the log now, and its local file is none of its own any more. */
  detach(content: SmallContent): void {
    this.content = content;
    this.isSpare = false;
    this.seen = null;
    this.logHoldsData = false;
  }

  /** Like {@link changed}, where only the bytes can tell whether it was. */
  perhapsChanged(mtime: Timestamp, nowMs: number): void {
    this.changed(this.mtime, nowMs);
    this.suspected = mtime;
  }
}

// state-room.ts — disk space for the commits to come, taken before there is none: behind the end of SQLite's log, of the index of that
// (state.db-shm), and of the database, to which checkpoints move what the log holds.
// Why: a commit that does not fit on a full disk ends the daemon, for what the caches hold is not what the state holds then. Changes are
// refused long before (volume/space-guard.ts), but a program that writes past the daemon, or to the same disk elsewhere, is not.
// Invariant: the length of no file is changed by this: the blocks lie behind its end (fallocate(2), FALLOC_FL_KEEP_SIZE).

import { closeSync, existsSync, fstatSync, ftruncateSync, openSync, statSync } from 'node:fs';
import { type ErrnoCode, isNoRoom, PosixError } from '../errno.js';
import { fallocate } from '../file-calls.js';
import { walPath } from './schema.js';

const FALLOC_FL_KEEP_SIZE = 1;
/** More than what is committed until the log starts over, where it does so early (SHORT_WAL_BYTES), and more than one commit takes. */
const WAL_ROOM_BYTES = 16 << 20;
/** For what tells of some ten thousand removed files. */
const DATABASE_ROOM_BYTES = 8 << 20;
/** Of the index, which takes 32 KiB for every 16 MiB of the log: for four times its target. */
const INDEX_BYTES = 1 << 20;
/** Asked for to learn whether the disk gives any more. */
const TRIED_BYTES = 1 << 20;
/** Of `st_blocks`, see stat(2). */
const BLOCK_BYTES = 512;

export class StateRoom {
  private isIndexKept = false;

  /**
   * Of a state file that a journal has open.
   * @param descriptor of it, for writing
   * @param indexDescriptor of the index of its log, likewise. Both stay open, see checkpointer.ts
   */
  constructor(
    private readonly path: string,
    private readonly descriptor: number,
    private readonly indexDescriptor: number,
  ) {}

  /**
   * Sees to it that there is room behind the part of the log that is in use, and for all that goes with it.
   * @returns why there is none: ENOSPC, EDQUOT, or EOPNOTSUPP when the filesystem cannot do it; undefined: there is
   */
  keep(walBytes: number): ErrnoCode | undefined {
    return this.keepIndex() ?? this.keepDatabase() ?? this.keepWal(walBytes);
  }

  private keepIndex(): ErrnoCode | undefined {
    if (this.isIndexKept) return undefined;
    const refusal = allocate(this.indexDescriptor, 0, INDEX_BYTES);
    this.isIndexKept = refusal === undefined;
    return refusal;
  }

  private keepDatabase(): ErrnoCode | undefined {
    const { size, blocks } = fstatSync(this.descriptor);
    const roomBytes = blocks * BLOCK_BYTES - size;
    return roomBytes >= DATABASE_ROOM_BYTES / 2 ? undefined : allocate(this.descriptor, size, DATABASE_ROOM_BYTES);
  }

  private keepWal(walBytes: number): ErrnoCode | undefined {
    if (walRoomBytes(this.path, walBytes) >= WAL_ROOM_BYTES / 2) return undefined;
    return allocateWal(this.path, walBytes, WAL_ROOM_BYTES);
  }
}

/** Why there are no blocks there; undefined: there are. */
function allocate(fd: number, offset: number, bytes: number): ErrnoCode | undefined {
  try {
    fallocate(fd, FALLOC_FL_KEEP_SIZE, offset, bytes);
    return undefined;
  } catch (error) {
    if (!(error instanceof PosixError)) throw error;
    return error.code;
  }
}

function allocateWal(path: string, offset: number, bytes: number): ErrnoCode | undefined {
  // No lock of SQLite is on this file: closing it drops none.
  const fd = openSync(walPath(path), 'r+');
  try {
    return allocate(fd, offset, bytes);
  } finally {
    closeSync(fd);
  }
}

/**
 * Sees to it that the log has so many bytes behind those that are in use.
 * @returns ENOSPC or EDQUOT when it has not; undefined also where the filesystem cannot do it
 */
export function takeWalRoom(path: string, walBytes: number, bytes: number): ErrnoCode | undefined {
  if (walRoomBytes(path, walBytes) >= bytes) return undefined;
  return noRoom(allocateWal(path, walBytes, bytes));
}

/** Whether the disk gives no more. SQLite tells a quota that is used up from no other failure of a write. */
export function isUsedUp(path: string): boolean {
  return noRoom(allocateWal(path, walRoomBytes(path, 0), TRIED_BYTES)) !== undefined;
}

function noRoom(code: ErrnoCode | undefined): ErrnoCode | undefined {
  return isNoRoom({ code }) ? code : undefined;
}

/** What the log of a state file has blocks for behind the bytes that are in use. */
export function walRoomBytes(path: string, walBytes: number): number {
  return statSync(walPath(path)).blocks * BLOCK_BYTES - walBytes;
}

/** Gives back what the database of a state file that nobody has open has behind its end. */
export function giveBackStateRoom(path: string): void {
  if (existsSync(walPath(path)) || !existsSync(path)) return;
  const fd = openSync(path, 'r+');
  try {
    const { size, blocks } = fstatSync(fd);
    if (blocks * BLOCK_BYTES > size) ftruncateSync(fd, size);
  } finally {
    closeSync(fd);
  }
}

// disk-faults.ts — stands between the product and the simulated disks of this process: notes what is synced, and lets calls fail.
// Invariant: a call on a path outside of a simulated state directory is the system's own. Product code is as it is: Node's own
// functions are replaced, for all modules of this thread, and of SQLite the two moments that matter: a commit, and a checkpoint.

import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { basename, dirname } from 'node:path';
import { LocalFile } from '../chunks/local-file.js';
import { ERRNO } from '../errno.js';
import { FAILED_SYNC_MARK } from '../failed-sync-mark.js';
import { Journal } from '../journal/journal.js';
import { statePath, walPath } from '../journal/schema.js';
import { Wal } from '../journal/wal.js';
import type { DiskImage } from './disk-image.js';
import { setFileTime } from './file-times.js';

/** What a disk is asked for, as far as it may refuse. */
export type DiskCall = 'create' | 'write' | 'sync' | 'commit';

export type Errno = 'ENOSPC' | 'EDQUOT' | 'EIO';

/** How a site's disk behaves. */
export interface DiskBehaviour {
  /** Notes what becomes durable; null when nobody will ask. */
  readonly image: DiskImage | null;
  /** The errno that this call fails with, if it does. */
  refuse(call: DiskCall): Errno | undefined;
  /** A sync of this file failed. */
  giveUp(path: string): void;
  /** What statfs(2) says is left. */
  readonly freeBytes: number;
  /** What the clock of its machine says, as far as files are told: nanoseconds since 1970. */
  readonly fileTimeNs: bigint;
  /** Told before and after each change or sync of a local file of a draft. */
  readonly moment: () => void;
}

/** SQLite's log is started over from this size on: in a simulation too. */
const WAL_TARGET_BYTES = 384 << 10;
/** What their names begin with. */
const STATE_DIRECTORY = '/state-';

/** The folder of a state directory that the local files of drafts are in. */
const LOCAL_FILES = 'work';
const BLOCK_BYTES = 4096;

interface OpenFile {
  readonly directory: string;
  /** Of a draft. */
  readonly isLocal: boolean;
  /** Its blocks are there: a write finds room. */
  readonly isMark: boolean;
}

/** Each open file on a simulated disk, by descriptor. */
const opened = new Map<number, OpenFile>();
const behaviours = new Map<string, DiskBehaviour>();

/** From now on the files of this state directory, `…/state-<number>`, behave so. */
export function setBehaviour(directory: string, behaviour: DiskBehaviour | undefined): void {
  if (behaviour) behaviours.set(directory, behaviour);
  else behaviours.delete(directory);
}

function stateDirectoryOf(path: string): string | undefined {
  const at = path.lastIndexOf(STATE_DIRECTORY);
  if (at < 0) return undefined;
  const end = path.indexOf('/', at + STATE_DIRECTORY.length);
  return end < 0 ? path : path.slice(0, end);
}

function behaviourOf(path: string): DiskBehaviour | undefined {
  return behaviours.size === 0 ? undefined : behaviours.get(stateDirectoryOf(path) ?? '');
}

/** Of the disk that an open file is on; none any more once its directory is forgotten. */
function behaviourOfOpen(fd: number): DiskBehaviour | undefined {
  return behaviours.get(opened.get(fd)?.directory ?? '');
}

function systemError(errno: Errno, syscall: string): Error {
  const code = errno === 'EDQUOT' ? 'UNKNOWN' : errno; // libuv has no name for it
  return Object.assign(new Error(`${code}: simulated, ${syscall}`), { code, syscall, errno: -ERRNO[errno] });
}

function guard(behaviour: DiskBehaviour | undefined, call: DiskCall, syscall: string): void {
  const code = behaviour?.refuse(call);
  if (code) throw systemError(code, syscall);
}

const { closeSync, fdatasyncSync, fsyncSync, ftruncateSync, openSync, statfsSync, writeSync } = fs;

/** It may have been renamed since it was opened. */
function pathOf(fd: number): string {
  return fs.readlinkSync(`/proc/self/fd/${fd}`);
}

function syncSimulated(fd: number, behaviour: DiskBehaviour, withTimes: boolean): void {
  const code = behaviour.refuse('sync');
  if (code) {
    behaviour.giveUp(pathOf(fd));
    throw systemError(code, 'fsync');
  }
  behaviour.image?.sync([pathOf(fd)], withTimes);
}

/** @param withTimes fsync(2) makes a file's times durable too, and fdatasync(2) does not where the data can be had without */
function noting(sync: (fd: number) => void, withTimes: boolean): (fd: number) => void {
  return (fd) => {
    const behaviour = behaviourOfOpen(fd);
    const local = opened.get(fd)?.isLocal ? behaviour : undefined;
    local?.moment();
    if (behaviour) syncSimulated(fd, behaviour, withTimes);
    sync(fd);
    local?.moment();
  };
}

/** Makes a change of a file, which then has the time of the simulated machine. */
function changing<T>(fd: number, act: () => T): T {
  const local = opened.get(fd)?.isLocal ? behaviourOfOpen(fd) : undefined;
  if (!local) return act();
  local.moment();
  const result = act();
  setFileTime(fd, local.fileTimeNs);
  local.moment();
  return result;
}

function replace(): void {
  fs.fdatasyncSync = noting(fdatasyncSync, false);
  fs.fsyncSync = noting(fsyncSync, true);
  fs.openSync = ((path: string, flags?: string | number, mode?: number) => {
    const behaviour = behaviourOf(path);
    const isNew = typeof flags === 'number' ? (flags & fs.constants.O_EXCL) !== 0 : flags?.includes('x');
    if (isNew) guard(behaviour, 'create', 'open');
    const fd = openSync(path, flags ?? 'r', mode);
    if (behaviour)
      opened.set(fd, {
        directory: stateDirectoryOf(path)!,
        isLocal: basename(dirname(path)) === LOCAL_FILES,
        isMark: basename(path) === FAILED_SYNC_MARK,
      });
    return isNew ? changing(fd, () => fd) : fd;
  }) as typeof openSync;
  fs.writeSync = ((fd: number, bytes: Buffer, ...rest: [from: number, length: number, position: number]) => {
    const behaviour = behaviourOfOpen(fd);
    if (!opened.get(fd)?.isMark) guard(behaviour, 'write', 'write');
    const count = changing(fd, () => writeSync(fd, bytes, ...rest));
    if (behaviour?.image?.hasGivenUp) behaviour.image.written(pathOf(fd), rest[2], count);
    return count;
  }) as typeof writeSync;
  fs.ftruncateSync = (fd, length) => changing(fd, () => ftruncateSync(fd, length));
  fs.statfsSync = ((path: string) => {
    const found = statfsSync(path);
    const behaviour = behaviourOf(`${path}/`);
    if (!behaviour) return found;
    // Not what is left on this machine.
    const free = behaviour.freeBytes / BLOCK_BYTES;
    return { ...found, bsize: BLOCK_BYTES, blocks: 2 * free + 1, bfree: free, bavail: free };
  }) as typeof statfsSync;
  fs.closeSync = (fd) => {
    opened.delete(fd);
    closeSync(fd);
  };
  syncBuiltinESMExports();
}
replace();

const fallocate = LocalFile.prototype.fallocate;
LocalFile.prototype.fallocate = function (this: LocalFile, ...range) {
  changing(this.fd, () => fallocate.apply(this, range));
};

/** SQLite's last connection, unless others only read, copies the log as a checkpoint does, and removes it. */
function noteClosed(path: string): void {
  if (!fs.existsSync(walPath(path))) behaviourOf(path)?.image?.checkpointed(true);
}

const open = Journal.open.bind(Journal);
Journal.open = (directory, options) => {
  let journal: Journal;
  try {
    journal = open(directory, { walTargetBytes: WAL_TARGET_BYTES, ...options });
  } catch (error) {
    noteClosed(statePath(directory));
    throw error;
  }
  const statement = journal['commitStatement'];
  const run = statement.run.bind(statement);
  statement.run = (...parameters) => {
    const code = behaviourOf(journal.db.name)?.refuse('commit');
    if (code)
      throw Object.assign(new Error(`simulated ${code}`), { code: code === 'EIO' ? 'SQLITE_IOERR' : 'SQLITE_FULL' });
    return run(...parameters);
  };
  const { db } = journal;
  const close = db.close.bind(db);
  db.close = () => {
    close();
    noteClosed(db.name);
    return db;
  };
  return journal;
};

const checkpoint = Wal.prototype.checkpoint;
Wal.prototype.checkpoint = function (this: Wal) {
  const state = checkpoint.call(this);
  if (!state.isBusy && !state.lacksRoom)
    behaviourOf(this['passive'].database.name)?.image?.checkpointed(state.backlogBytes === 0);
  return state;
};

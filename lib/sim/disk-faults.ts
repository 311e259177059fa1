// disk-faults.ts — stands between the product and the simulated disks of this process: notes what is synced, and lets calls fail.
// Invariant: a call on a path outside of a simulated state directory is the system's own. Product code is as it is: Node's own
// functions are replaced, for all modules of this thread, and of SQLite the two moments that matter: a commit, and a checkpoint.

import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { Journal } from '../journal/journal.js';
import { Wal } from '../journal/wal.js';
import type { DiskImage } from './disk-image.js';

/** What a disk is asked for, as far as it may refuse. */
export type DiskCall = 'create' | 'write' | 'sync' | 'commit';

export type Errno = 'ENOSPC' | 'EIO';

/** How a site's disk behaves. */
export interface DiskBehaviour {
  /** Notes what becomes durable; null when nobody will ask. */
  readonly image: DiskImage | null;
  /** The errno that this call fails with, if it does. */
  refuse(call: DiskCall): Errno | undefined;
  /** Whether statfs(2) says that nothing is left. */
  readonly looksFull: boolean;
}

/** SQLite's log is started over from this size on: in a simulation too. */
const WAL_TARGET_BYTES = 384 << 10;
/** What their names begin with. */
const STATE_DIRECTORY = '/state-';
const ERRNO: Readonly<Record<Errno, number>> = { ENOSPC: -28, EIO: -5 };

/** The state directory of each open file on a simulated disk, by descriptor. */
const opened = new Map<number, string>();
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
  return behaviours.get(opened.get(fd) ?? '');
}

function systemError(code: Errno, syscall: string): Error {
  return Object.assign(new Error(`${code}: simulated, ${syscall}`), { code, syscall, errno: ERRNO[code] });
}

function guard(behaviour: DiskBehaviour | undefined, call: DiskCall, syscall: string): void {
  const code = behaviour?.refuse(call);
  if (code) throw systemError(code, syscall);
}

const { closeSync, fdatasyncSync, fsyncSync, openSync, statfsSync, writeSync } = fs;

function noting(sync: (fd: number) => void): (fd: number) => void {
  return (fd) => {
    const behaviour = behaviourOfOpen(fd);
    guard(behaviour, 'sync', 'fsync');
    sync(fd);
    // It may have been renamed since it was opened.
    behaviour?.image?.sync([fs.readlinkSync(`/proc/self/fd/${fd}`)]);
  };
}

function replace(): void {
  fs.fdatasyncSync = noting(fdatasyncSync);
  fs.fsyncSync = noting(fsyncSync);
  fs.openSync = ((path: string, flags?: string, mode?: number) => {
    const behaviour = behaviourOf(path);
    if (typeof flags === 'string' && flags.includes('x')) guard(behaviour, 'create', 'open');
    const fd = openSync(path, flags ?? 'r', mode);
    if (behaviour) opened.set(fd, stateDirectoryOf(path)!);
    return fd;
  }) as typeof openSync;
  fs.writeSync = ((fd: number, ...rest: [Buffer]) => {
    guard(behaviourOfOpen(fd), 'write', 'write');
    return writeSync(fd, ...rest);
  }) as typeof writeSync;
  fs.statfsSync = ((path: string) => {
    const found = statfsSync(path);
    return behaviourOf(`${path}/`)?.looksFull ? { ...found, bfree: 0, bavail: 0 } : found;
  }) as typeof statfsSync;
  fs.closeSync = (fd) => {
    opened.delete(fd);
    closeSync(fd);
  };
  syncBuiltinESMExports();
}
replace();

const open = Journal.open.bind(Journal);
Journal.open = (directory, options) => {
  const journal = open(directory, { walTargetBytes: WAL_TARGET_BYTES, ...options });
  const statement = journal['commitStatement'];
  const run = statement.run.bind(statement);
  statement.run = (...parameters) => {
    const code = behaviourOf(journal.db.name)?.refuse('commit');
    if (code)
      throw Object.assign(new Error(`simulated ${code}`), { code: code === 'EIO' ? 'SQLITE_IOERR' : 'SQLITE_FULL' });
    return run(...parameters);
  };
  return journal;
};

const checkpoint = Wal.prototype.checkpoint;
Wal.prototype.checkpoint = function (this: Wal) {
  const state = checkpoint.call(this);
  if (!state.isBusy) behaviourOf(this['passive'].database.name)?.image?.checkpointed(state.backlogBytes === 0);
  return state;
};

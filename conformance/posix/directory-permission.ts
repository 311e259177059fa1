// directory-permission.ts — making and removing names needs write and search permission on the directory, whoever owns the file.
// POSIX.1-2024 on each call (EACCES). What was made belongs to the caller; what was refused leaves the directory as it was.

import { type Caller, CALLERS, EXECUTE, GID, modeFor, permits, UID, WRITE } from './callers.js';
import { close } from './file-calls.js';
import { must, type Result } from './libc.js';
import {
  chmod,
  creat,
  link,
  mkdir,
  mkfifo,
  mknod,
  O_CREAT,
  O_EXCL,
  O_RDWR,
  O_TMPFILE,
  open,
  rename,
  RENAME_EXCHANGE,
  RENAME_NOREPLACE,
  renameat2,
  rmdir,
  symlink,
  unlink,
} from './path-calls.js';
import { exists, lstat } from './stat.js';
import { KINDS_BUT_DIRECTORY, make, SOMEBODY, TYPE_BITS } from './things.js';
import type { Part, Trial } from './trial.js';

function closing(result: Result): Result {
  return result < 0 ? result : close(result);
}

interface Making {
  readonly syscall: string;
  readonly how?: string;
  readonly type: number;
  readonly mode: number;
  readonly call: (path: string) => Result;
}

const MAKINGS: readonly Making[] = [
  { syscall: 'open', how: 'O_CREAT', type: TYPE_BITS.file, mode: 0o640, call: (p) => closing(open(p, O_CREAT, 0o640)) },
  {
    syscall: 'open',
    how: 'O_CREAT|O_EXCL',
    type: TYPE_BITS.file,
    mode: 0o000,
    call: (p) => closing(open(p, O_CREAT | O_EXCL | O_RDWR, 0)),
  },
  { syscall: 'creat', type: TYPE_BITS.file, mode: 0o604, call: (p) => closing(creat(p, 0o604)) },
  { syscall: 'mkdir', type: TYPE_BITS.directory, mode: 0o711, call: (p) => mkdir(p, 0o711) },
  { syscall: 'mkfifo', type: TYPE_BITS.fifo, mode: 0o622, call: (p) => mkfifo(p, 0o622) },
  {
    syscall: 'mknod',
    how: 'of a file',
    type: TYPE_BITS.file,
    mode: 0o600,
    call: (p) => mknod(p, TYPE_BITS.file | 0o600),
  },
  {
    syscall: 'mknod',
    how: 'of a fifo',
    type: TYPE_BITS.fifo,
    mode: 0o660,
    call: (p) => mknod(p, TYPE_BITS.fifo | 0o660),
  },
  {
    syscall: 'mknod',
    how: 'of a socket',
    type: TYPE_BITS.socket,
    mode: 0o755,
    call: (p) => mknod(p, TYPE_BITS.socket | 0o755),
  },
  { syscall: 'symlink', type: TYPE_BITS.symlink, mode: 0o777, call: (p) => symlink('anywhere', p) },
];

/** Something that moves or removes what lies in a directory. `prepare` makes it, as root, before the mode is set. */
interface Moving {
  readonly syscall: string;
  readonly how: string;
  readonly prepare: (path: string, outside: string, caller: Caller) => void;
  readonly call: (path: string, outside: string) => Result;
  /** Is the name in the directory afterwards? */
  readonly there: boolean;
}

const MOVINGS: readonly Moving[] = [
  ...KINDS_BUT_DIRECTORY.map((kind): Moving => ({
    syscall: 'unlink',
    how: `a ${kind}`,
    prepare: (path) => void make(kind, path, { ...SOMEBODY, mode: 0 }),
    call: (path) => unlink(path),
    there: false,
  })),
  {
    syscall: 'rmdir',
    how: '',
    prepare: (path) => void make('directory', path, { ...SOMEBODY, mode: 0 }),
    call: (path) => rmdir(path),
    there: false,
  },
  {
    syscall: 'link',
    how: 'into it',
    prepare: (_, outside, { uid }) => void make('file', outside, { uid }),
    call: (path, outside) => link(outside, path),
    there: true,
  },
  ...KINDS_BUT_DIRECTORY.map((kind): Moving => ({
    syscall: 'rename',
    how: `a ${kind} out of it`,
    prepare: (path) => void make(kind, path, { ...SOMEBODY, mode: 0 }),
    call: (path, outside) => rename(path, outside),
    there: false,
  })),
  {
    syscall: 'rename',
    how: 'a file into it',
    prepare: (_, outside) => void make('file', outside, SOMEBODY),
    call: (path, outside) => rename(outside, path),
    there: true,
  },
  {
    syscall: 'rename',
    how: 'a file over one in it',
    prepare: (path, outside) => {
      make('file', path, { ...SOMEBODY, mode: 0 });
      make('file', outside, SOMEBODY);
    },
    call: (path, outside) => rename(outside, path),
    there: true,
  },
  {
    syscall: 'rename',
    how: 'the caller’s own directory out of it',
    prepare: (path, _, { uid }) => void make('directory', path, { uid }),
    call: (path, outside) => rename(path, outside),
    there: false,
  },
  {
    syscall: 'renameat2',
    how: 'RENAME_NOREPLACE into it',
    prepare: (_, outside) => void make('file', outside, SOMEBODY),
    call: (path, outside) => renameat2(outside, path, RENAME_NOREPLACE),
    there: true,
  },
  {
    syscall: 'renameat2',
    how: 'RENAME_EXCHANGE with one in it',
    prepare: (path, outside) => {
      make('file', path, { ...SOMEBODY, mode: 0 });
      make('fifo', outside, SOMEBODY);
    },
    call: (path, outside) => renameat2(outside, path, RENAME_EXCHANGE),
    there: true,
  },
];

export const directoryPermission: Part = {
  syscalls: ['open', 'creat', 'mkdir', 'mkfifo', 'mknod', 'symlink', 'unlink', 'rmdir', 'link', 'rename', 'renameat2'],
  run(trial) {
    for (const caller of CALLERS) {
      for (let bits = 0; bits < 8; bits++) {
        for (const making of MAKINGS) checkMaking(trial, making, caller, bits);
        for (const moving of MOVINGS) checkMoving(trial, moving, caller, bits);
        checkTmpfile(trial, caller, bits);
      }
    }
  },
};

function allowed(caller: Caller, mode: number): boolean {
  return permits(caller, { uid: UID, gid: GID, mode, directory: true }, WRITE | EXECUTE);
}

function checkMaking(trial: Trial, { syscall, how, type, mode, call }: Making, caller: Caller, bits: number): void {
  trial.about(syscall, how);
  const directory = make('directory', trial.name(), { mode: modeFor(caller, bits) });
  const path = `${directory}/x`;
  const expected = allowed(caller, modeFor(caller, bits)) ? 'ok' : 'EACCES';
  if (!trial.decides(`the caller has ${bits} on the directory`, expected, [directory, path], () => call(path), caller))
    return;
  const made = lstat(path);
  const by = `made by ${caller.name} who has ${bits}:`;
  trial.equal(`${by} type`, made.type.toString(8), type.toString(8));
  trial.equal(`${by} mode`, made.mode.toString(8), mode.toString(8));
  trial.equal(`${by} uid and gid`, `${made.uid} ${made.gid}`, `${caller.uid} ${caller.gid}`);
}

function checkMoving(trial: Trial, moving: Moving, caller: Caller, bits: number): void {
  trial.about(moving.syscall, moving.how);
  const mode = modeFor(caller, bits);
  const directory = make('directory', trial.name(), { mode: 0o755 });
  const path = `${directory}/x`;
  const outside = trial.name();
  moving.prepare(path, outside, caller);
  must('chmod', chmod(directory, mode));
  const expected = allowed(caller, mode) ? 'ok' : 'EACCES';
  const call = (): Result => moving.call(path, outside);
  const what = `the caller has ${bits} on the directory`;
  if (trial.decides(what, expected, [directory, path, outside, '.'], call, caller))
    trial.equal(`${what}, by ${caller.name}: it is in the directory`, exists(path), moving.there);
}

function checkTmpfile(trial: Trial, caller: Caller, bits: number): void {
  trial.about('open', 'O_TMPFILE');
  const mode = modeFor(caller, bits);
  const directory = make('directory', trial.name(), { mode });
  const expected = allowed(caller, mode) ? 'ok' : 'EACCES';
  trial.decides(
    `the caller has ${bits} on the directory`,
    expected,
    [directory],
    () => closing(open(directory, O_TMPFILE | O_RDWR, 0o600)),
    caller,
  );
}

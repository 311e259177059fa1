// new-inodes.ts — owner, group and mode of what is made: umask, set-group-id directories, and mode bits that only some calls take.
// POSIX.1-2024 open(), mkdir(), mknod(); inode(7): in a set-group-id directory all take its group, directories the bit as well.

import { as, type Caller, CALLERS, GID, OTHER, OWNER, possible, ROOT, SUPPLEMENTARY } from './callers.js';
import { close, withUmask } from './file-calls.js';
import { must, type Result } from './libc.js';
import { makeDevice, mkdir, mkfifo, mknod, O_CREAT, O_EXCL, O_RDWR, O_TMPFILE, open, symlink } from './path-calls.js';
import { fstat, lstat } from './stat.js';
import { type Kind, KINDS, make, TYPE_BITS } from './things.js';
import type { Part, Trial } from './trial.js';

function closing(result: Result): Result {
  return result < 0 ? result : close(result);
}

const MAKERS: readonly [syscall: string, kind: Kind, call: (path: string, mode: number) => Result][] = [
  ['open', 'file', (p, mode) => closing(open(p, O_CREAT | O_EXCL | O_RDWR, mode))],
  ['mkdir', 'directory', (p, mode) => mkdir(p, mode)],
  ['mkfifo', 'fifo', (p, mode) => mkfifo(p, mode)],
  ['mknod', 'file', (p, mode) => mknod(p, TYPE_BITS.file | mode)],
  ['mknod', 'socket', (p, mode) => mknod(p, TYPE_BITS.socket | mode)],
  ['symlink', 'symlink', (p) => symlink('anywhere', p)],
];

const MODES = [0, 0o777, 0o640, 0o1777, 0o4755, 0o2755, 0o2745, 0o7777];
const UMASKS = [0, 0o022, 0o077, 0o777];

export const newInodes: Part = {
  syscalls: ['open', 'mkdir', 'mkfifo', 'mknod', 'symlink'],
  run(trial) {
    for (const caller of possible([...CALLERS, { ...OWNER, name: 'owner in the group', groups: [GID] }])) {
      for (const directoryMode of [0o777, 0o2777]) {
        for (const [syscall, kind, call] of MAKERS) {
          for (const mode of kind === 'symlink' ? [0] : MODES) {
            for (const umask of UMASKS) {
              check(trial, { syscall, kind, call, caller, directoryMode, mode, umask });
            }
          }
        }
        checkTmpfile(trial, caller, directoryMode);
      }
    }
    checkTypes(trial);
    checkDevices(trial);
  },
};

interface Case {
  readonly syscall: string;
  readonly kind: Kind;
  readonly call: (path: string, mode: number) => Result;
  readonly caller: Caller;
  readonly directoryMode: number;
  readonly mode: number;
  readonly umask: number;
}

/** What becomes of the asked mode, before the umask; the group is the directory's or the caller's. */
function modeMade({ kind, mode, caller, directoryMode }: Case): number {
  if (kind === 'symlink') return 0o777;
  const inherits = (directoryMode & 0o2000) !== 0;
  if (kind === 'directory') return (mode & 0o1777) | (inherits ? 0o2000 : 0);
  const member = caller === ROOT || caller.gid === GID || caller.groups.includes(GID);
  // mode_strip_sgid: who is not of the directory's group makes no executable that would act for it.
  const strips = inherits && !member && (mode & 0o2010) === 0o2010;
  return strips ? mode & ~0o2000 : mode;
}

function check(trial: Trial, entry: Case): void {
  const { syscall, kind, call, caller, directoryMode, mode, umask } = entry;
  trial.about(syscall, `new ${kind} in a directory of mode ${directoryMode.toString(8)}`);
  const directory = make('directory', trial.name(), { mode: directoryMode });
  const path = `${directory}/x`;
  const what = `mode ${mode.toString(8)}, umask ${umask.toString(8)}, by ${caller.name}`;
  const result = withUmask(umask, () => as(caller, () => call(path, mode)));
  if (!trial.answers(what, 'ok', result)) return;
  const made = lstat(path);
  const expected = kind === 'symlink' ? 0o777 : modeMade(entry) & ~umask;
  trial.equal(`${what}: the mode`, made.mode.toString(8), expected.toString(8));
  const group = (directoryMode & 0o2000) !== 0 ? GID : caller.gid;
  trial.equal(`${what}: owner and group`, `${made.uid} ${made.gid}`, `${caller.uid} ${group}`);
}

function checkTmpfile(trial: Trial, caller: Caller, directoryMode: number): void {
  trial.about('open', `O_TMPFILE in a directory of mode ${directoryMode.toString(8)}`);
  const directory = make('directory', trial.name(), { mode: directoryMode });
  for (const umask of UMASKS) {
    const fd = withUmask(umask, () => as(caller, () => open(directory, O_TMPFILE | O_RDWR, 0o666)));
    if (!trial.answers(`umask ${umask.toString(8)}, by ${caller.name}`, 'ok', fd)) continue;
    const made = fstat(fd);
    const what = `umask ${umask.toString(8)}, by ${caller.name}`;
    trial.equal(`${what}: the mode`, made.mode.toString(8), (0o666 & ~umask).toString(8));
    const group = (directoryMode & 0o2000) !== 0 ? GID : caller.gid;
    trial.equal(`${what}: owner and group`, `${made.uid} ${made.gid}`, `${caller.uid} ${group}`);
    trial.equal(`${what}: links`, made.nlink, 0);
    must('close', close(fd));
  }
}

/** What each kind looks like when it is new. */
function checkTypes(trial: Trial): void {
  for (const kind of KINDS) {
    trial.about(kind === 'directory' ? 'mkdir' : kind === 'symlink' ? 'symlink' : 'mknod', `a new ${kind}`);
    const directory = make('directory', trial.name());
    const path = make(kind, `${directory}/x`);
    const { type, nlink, size, btime, ctime, mtime, mask } = lstat(path);
    trial.equal('the type', type.toString(8), TYPE_BITS[kind].toString(8));
    trial.equal('links', nlink, kind === 'directory' ? 2 : 1);
    if (kind !== 'directory') trial.equal('the size', size, kind === 'symlink' ? 13n : 0n);
    trial.holds('statx tells the time of birth', (mask & 0x800) !== 0);
    trial.holds('born not after mtime and ctime', btime <= mtime && btime <= ctime, () => `${btime} ${mtime} ${ctime}`);
    trial.equal('links of the directory', lstat(directory).nlink, kind === 'directory' ? 3 : 2);
  }
}

function checkDevices(trial: Trial): void {
  trial.about('mknod', 'devices');
  const numbers: readonly [number, number][] = [
    [0, 1],
    [1, 3],
    [255, 255],
    [256, 256],
    [4095, 1_048_575],
  ];
  for (const kind of ['character device', 'block device'] as const) {
    for (const [major, minor] of numbers) {
      trial.rootStep(() => {
        const path = trial.name();
        const device = makeDevice(major, minor);
        trial.answers(`${kind} ${major}:${minor}`, 'ok', mknod(path, TYPE_BITS[kind] | 0o600, device));
        const { deviceMajor, deviceMinor } = lstat(path);
        trial.equal(`${kind} ${major}:${minor}: its number`, `${deviceMajor}:${deviceMinor}`, `${major}:${minor}`);
      });
    }
    for (const caller of possible([OWNER, SUPPLEMENTARY, OTHER])) {
      const directory = make('directory', trial.name(), { mode: 0o777 });
      const path = `${directory}/x`;
      const call = (): Result => mknod(path, TYPE_BITS[kind] | 0o600, makeDevice(1, 3));
      trial.refuses(`a ${kind}`, 'EPERM', [directory, path], call, caller);
    }
  }
  for (const caller of CALLERS) {
    const directory = make('directory', trial.name(), { mode: 0o777 });
    const path = `${directory}/x`;
    trial.refuses('a directory', 'EPERM', [directory, path], () => mknod(path, TYPE_BITS.directory | 0o755), caller);
    for (const bits of [0o120000, 0o030000, 0o170000]) {
      const what = `type bits ${bits.toString(8)}`;
      trial.refuses(what, 'EINVAL', [directory, path], () => mknod(path, bits | 0o644), caller);
    }
    trial.answers(
      `no type bits make a file, by ${caller.name}`,
      'ok',
      as(caller, () => mknod(path, 0o600)),
    );
    trial.equal(`no type bits make a file, by ${caller.name}: its type`, lstat(path).type, TYPE_BITS.file);
  }
}

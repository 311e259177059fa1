// statx.ts — statx(2): the time of birth of each kind of file and what leaves it alone, its ways to name a file, its flags and errors.

import { close, pwrite } from './file-calls.js';
import { must, type Result } from './libc.js';
import {
  AT_EMPTY_PATH,
  AT_FDCWD,
  AT_SYMLINK_NOFOLLOW,
  chmod,
  lchown,
  link,
  mkdir,
  O_NOFOLLOW,
  O_PATH,
  O_WRONLY,
  open,
  rename,
  setxattr,
  statx,
  utimensat,
} from './path-calls.js';
import { lstat } from './stat.js';
import { KINDS, KINDS_WITH_MODE, make, makeFile } from './things.js';
import type { Part, Trial } from './trial.js';

const AT_STATX_FORCE_SYNC = 0x2000;
const AT_STATX_DONT_SYNC = 0x4000;
const STATX_BTIME = 0x800;
const STATX_RESERVED = 0x8000_0000;
/** stx_mask and stx_attributes: what was asked for and what is known besides may differ. */
const HEAD_BYTES = 16;
/** Times of files come from a clock that ticks, as Date.now() does not. */
const TICK_NS = 20_000_000n;

export const statxPart: Part = {
  syscalls: ['statx'],
  run(trial) {
    for (const kind of KINDS) {
      trial.about('statx', kind);
      const path = checkBirth(trial, kind);
      checkWays(trial, path);
    }
    checkErrors(trial);
  },
};

/** Makes one and returns its path. */
function checkBirth(trial: Trial, kind: (typeof KINDS)[number]): string {
  const floor = BigInt(Date.now()) * 1_000_000n - TICK_NS;
  let path = make(kind, trial.name());
  const { btime, mask } = lstat(path);
  trial.holds('tells the time of birth', (mask & STATX_BTIME) !== 0);
  const ceiling = BigInt(Date.now() + 1) * 1_000_000n;
  trial.holds('born while it was made', btime >= floor && btime <= ceiling, () => `${floor} ${btime} ${ceiling}`);
  const stays = (what: string, result: Result): void => {
    trial.answers(what, 'ok', result);
    trial.equal(`${what}: the time of birth`, lstat(path).btime, btime);
  };
  if (KINDS_WITH_MODE.includes(kind)) stays('chmod', chmod(path, 0o700));
  stays('lchown', lchown(path, -1, -1));
  stays(
    'utimensat',
    utimensat(
      path,
      [
        { s: 5, ns: 6 },
        { s: 7, ns: 8 },
      ],
      AT_SYMLINK_NOFOLLOW,
    ),
  );
  if (kind === 'file' || kind === 'directory') stays('setxattr', setxattr(path, 'user.a', Buffer.from('v')));
  if (kind === 'directory') stays('an entry in it', mkdir(`${path}/x`, 0o755));
  else stays('link', link(path, trial.name()));
  if (kind === 'file') {
    const fd = must('open', open(path, O_WRONLY));
    stays('write', pwrite(fd, 'content', 0));
    must('close', close(fd));
  }
  const from = path;
  path = trial.name();
  stays('rename', rename(from, path));
  return path;
}

/** By path, from a directory, by descriptor, with each flag: the same. */
function checkWays(trial: Trial, path: string): void {
  const expected = Buffer.alloc(256);
  must('statx', statx(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, expected));
  const directory = must('open', open('.', O_PATH));
  const fd = must('open', open(path, O_PATH | O_NOFOLLOW));
  for (const [what, from, name, flags] of [
    ['from a directory', directory, path, AT_SYMLINK_NOFOLLOW],
    ['AT_EMPTY_PATH', fd, '', AT_EMPTY_PATH],
    ['AT_STATX_FORCE_SYNC', AT_FDCWD, path, AT_SYMLINK_NOFOLLOW | AT_STATX_FORCE_SYNC],
    ['AT_STATX_DONT_SYNC', AT_FDCWD, path, AT_SYMLINK_NOFOLLOW | AT_STATX_DONT_SYNC],
  ] as const) {
    const into = Buffer.alloc(256);
    trial.answers(what, 'ok', statx(from, name, flags, into));
    trial.holds(`${what}: the same`, into.subarray(HEAD_BYTES).equals(expected.subarray(HEAD_BYTES)));
  }
  trial.answers('asked for nothing', 'ok', statx(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, Buffer.alloc(256), 0));
  must('close', close(fd));
  must('close', close(directory));
}

function checkErrors(trial: Trial): void {
  trial.about('statx', 'errors');
  const path = makeFile(trial.name(), 'content');
  const into = Buffer.alloc(256);
  const fd = must('open', open(path, O_PATH));
  for (const [what, errno, call] of [
    ['both ways to synchronise', 'EINVAL', () => statx(AT_FDCWD, path, AT_STATX_FORCE_SYNC | AT_STATX_DONT_SYNC, into)],
    ['an unknown flag', 'EINVAL', () => statx(AT_FDCWD, path, 0x8_0000, into)],
    ['a reserved bit of the mask', 'EINVAL', () => statx(AT_FDCWD, path, 0, into, STATX_RESERVED)],
    ['no buffer', 'EFAULT', () => statx(AT_FDCWD, path, 0, null)],
    ['no path', 'EFAULT', () => statx(AT_FDCWD, null, 0, into)],
    ['an empty path', 'ENOENT', () => statx(AT_FDCWD, '', 0, into)],
    ['what is not there', 'ENOENT', () => statx(AT_FDCWD, 'missing', 0, into)],
    ['a name of 256 bytes', 'ENAMETOOLONG', () => statx(AT_FDCWD, 'n'.repeat(256), 0, into)],
    ['a bad descriptor', 'EBADF', () => statx(9999, 'x', 0, into)],
    ['a bad descriptor, AT_EMPTY_PATH', 'EBADF', () => statx(9999, '', AT_EMPTY_PATH, into)],
    ['relative to a file', 'ENOTDIR', () => statx(fd, 'x', 0, into)],
    ['below a file', 'ENOTDIR', () => statx(AT_FDCWD, `${path}/x`, 0, into)],
  ] as const)
    trial.refuses(what, errno, [path], call);
  must('close', close(fd));
}

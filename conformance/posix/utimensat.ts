// utimensat.ts — utimensat(2) and futimens(3): who may set which times, to which values, and what they are afterwards.

import { type Caller, CALLERS, GID, OTHER, OWNER, possible, ROOT, UID } from './callers.js';
import { close, futimens } from './file-calls.js';
import { must } from './libc.js';
import {
  AT_SYMLINK_NOFOLLOW,
  O_NONBLOCK,
  O_PATH,
  O_RDONLY,
  open,
  symlink,
  type Time,
  UTIME_NOW,
  UTIME_OMIT,
  utimensat,
} from './path-calls.js';
import { fstat, lstat } from './stat.js';
import { KINDS, make, makeFile } from './things.js';
import type { Part, Trial } from './trial.js';

const A: Time = { s: 1_000_000_000, ns: 123_456_789 };
const M: Time = { s: 1_100_000_000, ns: 987_654_321 };

type Pair = readonly [Time, Time] | null;

const PAIRS: readonly [what: string, times: Pair, needs: 'nothing' | 'write' | 'owner'][] = [
  ['null', null, 'write'],
  ['now, now', [UTIME_NOW, UTIME_NOW], 'write'],
  ['omit, omit', [UTIME_OMIT, UTIME_OMIT], 'nothing'],
  ['now, omit', [UTIME_NOW, UTIME_OMIT], 'owner'],
  ['omit, now', [UTIME_OMIT, UTIME_NOW], 'owner'],
  ['given, given', [A, M], 'owner'],
  ['given, omit', [A, UTIME_OMIT], 'owner'],
  ['omit, given', [UTIME_OMIT, M], 'owner'],
  ['given, now', [A, UTIME_NOW], 'owner'],
  ['now, given', [UTIME_NOW, M], 'owner'],
];

function nanoseconds({ s, ns }: Time): bigint {
  return BigInt(s) * 1_000_000_000n + BigInt(ns);
}

export const utimensatPart: Part = {
  syscalls: ['utimensat', 'futimens'],
  run(trial) {
    for (const caller of CALLERS) {
      for (const mode of [0o000, 0o222, 0o666]) {
        for (const kind of KINDS) {
          trial.about('utimensat', `${kind} of mode ${mode.toString(8)}`);
          for (const [what, times, needs] of PAIRS) {
            const path = make(kind, trial.name(), { mode });
            const writable = kind === 'symlink' || mode !== 0;
            checkPair(trial, { path, what, times, expected: expectation(caller, needs, writable) }, caller);
          }
        }
      }
    }
    checkValues(trial);
    checkErrors(trial);
    checkDescriptors(trial);
  },
};

function expectation(caller: Caller, needs: string, writable: boolean): string {
  if (caller === ROOT || caller.uid === UID || needs === 'nothing') return 'ok';
  if (needs === 'owner') return 'EPERM';
  return writable ? 'ok' : 'EACCES';
}

interface Case {
  readonly path: string;
  readonly what: string;
  readonly times: Pair;
  readonly expected: string;
}

function checkPair(trial: Trial, { path, what, times, expected }: Case, caller: Caller): void {
  must(
    'utimensat',
    utimensat(
      path,
      [
        { s: 5, ns: 5 },
        { s: 6, ns: 6 },
      ],
      AT_SYMLINK_NOFOLLOW,
    ),
  );
  const before = lstat(path);
  if (!trial.decides(what, expected, [path], () => utimensat(path, times, AT_SYMLINK_NOFOLLOW), caller)) return;
  const after = lstat(path);
  const [atime, mtime] = times ?? [UTIME_NOW, UTIME_NOW];
  checkTime(trial, `${what}, by ${caller.name}: atime`, atime, before.atime, after.atime);
  checkTime(trial, `${what}, by ${caller.name}: mtime`, mtime, before.mtime, after.mtime);
}

function checkTime(trial: Trial, what: string, asked: Time, before: bigint, after: bigint): void {
  if (asked === UTIME_OMIT) trial.equal(`${what} stays, it`, after, before);
  else if (asked === UTIME_NOW) {
    const now = BigInt(Date.now()) * 1_000_000n;
    trial.holds(`${what} is now`, now - after < 10_000_000_000n && after - now < 1_000_000_000n, () => `${after}`);
  } else trial.equal(what, after, nanoseconds(asked));
}

/** Seconds that a 34-bit signed time of ext4 can hold: 13 December 1901 to 10 May 2446. */
const EARLIEST = -(2 ** 31);
const LATEST = 2 ** 34 - 2 ** 31 - 1;

function checkValues(trial: Trial): void {
  const seconds = [EARLIEST, EARLIEST + 1, -1_000_000, -1, 0, 1, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1, 2 ** 32, LATEST];
  for (const kind of KINDS) {
    trial.about('utimensat', `${kind}, values`);
    const path = make(kind, trial.name());
    for (const s of seconds) {
      // At the ends of what a filesystem can hold the kernel drops the fraction (timestamp_truncate).
      const fractions = s === EARLIEST || s === LATEST ? [0] : [0, 1, 999, 500_000_001, 999_999_999];
      for (const ns of fractions) {
        const time = { s, ns };
        trial.answers(`${s} s and ${ns} ns`, 'ok', utimensat(path, [time, time], AT_SYMLINK_NOFOLLOW));
        const { atime, mtime } = lstat(path);
        trial.equal(`${s} s and ${ns} ns: atime`, atime, nanoseconds(time));
        trial.equal(`${s} s and ${ns} ns: mtime`, mtime, nanoseconds(time));
      }
    }
  }
}

function checkErrors(trial: Trial): void {
  trial.about('utimensat');
  const nofollow = AT_SYMLINK_NOFOLLOW;
  for (const caller of possible([ROOT, OWNER, OTHER])) {
    for (const kind of KINDS) {
      const path = make(kind, trial.name(), { mode: 0o777 });
      for (const ns of [-1, 1_000_000_000, 0x3fff_fffd, 0x4000_0000]) {
        const bad = { s: 0, ns };
        trial.refuses(
          `atime of ${ns} ns of a ${kind}`,
          'EINVAL',
          [path],
          () => utimensat(path, [bad, M], nofollow),
          caller,
        );
        trial.refuses(
          `mtime of ${ns} ns of a ${kind}`,
          'EINVAL',
          [path],
          () => utimensat(path, [A, bad], nofollow),
          caller,
        );
      }
      trial.refuses(`an unknown flag for a ${kind}`, 'EINVAL', [path], () => utimensat(path, null, 0x4000), caller);
    }
  }
  const target = makeFile(trial.name(), 'content');
  const link = trial.name();
  must('symlink', symlink(target, link));
  const before = lstat(link);
  trial.answers('of a symlink changes what it leads to', 'ok', utimensat(link, [A, M]));
  trial.equal('mtime of the target', lstat(target).mtime, nanoseconds(M));
  trial.equal('mtime of the symlink', lstat(link).mtime, before.mtime);
  trial.equal('ctime of the symlink', lstat(link).ctime, before.ctime);
}

function checkDescriptors(trial: Trial): void {
  trial.about('futimens');
  for (const kind of ['file', 'directory', 'fifo'] as const) {
    const path = make(kind, trial.name(), { mode: 0o644, gid: GID });
    const fd = must('open', open(path, O_RDONLY | O_NONBLOCK));
    for (const caller of CALLERS) {
      const owner = caller === ROOT || caller.uid === UID;
      if (trial.decides(`of a ${kind}`, owner ? 'ok' : 'EPERM', [path], () => futimens(fd, [A, M]), caller))
        trial.equal(`of a ${kind}, by ${caller.name}: mtime`, fstat(fd).mtime, nanoseconds(M));
      const now = `of a ${kind} to now`;
      trial.decides(now, owner ? 'ok' : 'EACCES', [path], () => futimens(fd, null), caller);
    }
    must('close', close(fd));
    trial.refuses(`of a closed descriptor of a ${kind}`, 'EBADF', [path], () => futimens(fd, null));
    const pathOnly = must('open', open(path, O_PATH));
    trial.refuses(`of an O_PATH descriptor of a ${kind}`, 'EBADF', [path], () => futimens(pathOnly, null));
    must('close', close(pathOnly));
  }
}

// times.ts — which of atime, mtime and ctime a call changes, of what it works on and of the directories that hold it.
// POSIX.1-2024 marks times for update under each call; Linux reads with relatime, for which every file here is due. All is made first,
// then time passes, then each call is made between two looks: so a change shows even where the clock of times is coarse.

import {
  close,
  copyFileRange,
  dropCache,
  F,
  FALLOC,
  fallocate,
  fchmod,
  fcntl,
  fdatasync,
  fsync,
  ftruncate,
  getdents,
  lseek,
  pread,
  pwrite,
} from './file-calls.js';
import { GID, IS_ROOT, UID } from './callers.js';
import { must, type Result } from './libc.js';
import {
  access,
  AT_SYMLINK_NOFOLLOW,
  chmod,
  creat,
  getxattr,
  lchown,
  link,
  listxattr,
  mkdir,
  mkfifo,
  mknod,
  O_APPEND,
  O_CREAT,
  O_NOATIME,
  O_NONBLOCK,
  O_RDONLY,
  O_RDWR,
  O_TRUNC,
  O_WRONLY,
  open,
  readlink,
  removexattr,
  rename,
  RENAME_EXCHANGE,
  renameat2,
  rmdir,
  setxattr,
  symlink,
  truncate,
  unlink,
  UTIME_NOW,
  UTIME_OMIT,
  utimensat,
} from './path-calls.js';
import { exists, lstat, lstatResult, type Stat } from './stat.js';
import { type Kind, KINDS, KINDS_BUT_DIRECTORY, KINDS_WITH_MODE, make, makeFile } from './things.js';
import type { Part, Trial } from './trial.js';

/** Longer than a tick of the slowest kernel clock (HZ=100). */
const TICK_MS = 15;

/** Per path, the times that change, by first letter: a, m, c. A `?` behind one: it may. '-': the name is gone, so nothing is looked at. */
type Changes = Readonly<Record<string, string>>;

interface TimeCase {
  readonly syscall: string;
  readonly what: string;
  readonly errno?: string;
  readonly changes: Changes;
  /** In a directory `d` and beside another, `e`: both are there. */
  readonly prepare: (at: (name: string) => string) => void;
  readonly call: (at: (name: string) => string) => Result;
}

function closing(result: Result): Result {
  return result < 0 ? result : close(result);
}

/** Opens before the look and closes after it would hide nothing: opening a file changes no time. */
function through(path: string, flags: number, work: (fd: number) => Result): Result {
  const fd = must('open', open(path, flags));
  const result = work(fd);
  must('close', close(fd));
  return result;
}

function copied(at: (name: string) => string, flags: number): Result {
  return through(at('d/x'), flags, (from) => through(at('d/y'), O_WRONLY, (to) => copyFileRange(from, 0, to, 0, 100)));
}

const CONTENT = 'content '.repeat(1000);
/** Enough for a filesystem that treats large files differently. */
const MUCH_CONTENT = 'content '.repeat(100_000);

export const times: Part = {
  syscalls: [...new Set(timeCases().map(({ syscall }) => syscall))],
  run(trial) {
    const cases = timeCases();
    const prepared: { entry: TimeCase; at: (name: string) => string }[] = [];
    const prepare = (entry: TimeCase): void => {
      const base = trial.name();
      must('mkdir', mkdir(base, 0o777));
      for (const name of ['d', 'e']) must('mkdir', mkdir(`${base}/${name}`, 0o777));
      const at = (name: string): string => `${base}/${name}`;
      entry.prepare(at);
      // Due for an update of atime under relatime: atime before mtime.
      for (const path of Object.keys(entry.changes).map(at)) {
        if (!exists(path)) continue;
        must(
          'utimensat',
          utimensat(
            path,
            [
              { s: 1_000, ns: 0 },
              { s: 2_000, ns: 0 },
            ],
            AT_SYMLINK_NOFOLLOW,
          ),
        );
      }
      prepared.push({ entry, at });
    };
    for (const entry of cases) trial.step(() => prepare(entry));
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, TICK_MS);
    for (const { entry, at } of prepared) check(trial, entry, at);
  },
};

function check(trial: Trial, entry: TimeCase, at: (name: string) => string): void {
  trial.about(entry.syscall, `times: ${entry.what}`);
  const look = (): Map<string, Stat | null> =>
    new Map(Object.keys(entry.changes).map((name) => [name, exists(at(name)) ? lstat(at(name)) : null]));
  const before = look();
  const floor = BigInt(Date.now() - 10_000) * 1_000_000n;
  trial.answers('the call', entry.errno ?? 'ok', entry.call(at));
  const after = look();
  for (const [name, expected] of Object.entries(entry.changes)) {
    const [old, now] = [before.get(name), after.get(name)];
    if (!now) {
      trial.equal(`what is there of ${name}`, expected, '-');
      continue;
    }
    for (const time of ['atime', 'mtime', 'ctime'] as const) {
      const letter = time[0]!;
      if (expected.includes(`${letter}?`)) continue;
      if (!expected.includes(letter)) {
        if (old) trial.equal(`${time} of ${name} stays, it`, now[time], old[time]);
      } else {
        const moved = now[time] > (old?.[time] ?? 0n) && now[time] > floor;
        trial.holds(`${time} of ${name} is now`, moved, () => `${old?.[time]} became ${now[time]}`);
      }
    }
  }
}

function timeCases(): TimeCase[] {
  return [
    ...makingCases(),
    ...removingCases(),
    ...renameCases(),
    ...attributeCases(),
    ...contentCases(),
    ...readingCases(),
  ];
}

function nothing(): void {}

function makingCases(): TimeCase[] {
  const makers: [syscall: string, what: string, call: (path: string) => Result][] = [
    ['open', 'O_CREAT', (p) => closing(open(p, O_CREAT | O_WRONLY, 0o644))],
    ['creat', 'a new file', (p) => closing(creat(p, 0o644))],
    ['mkdir', 'a new directory', (p) => mkdir(p, 0o755)],
    ['mkfifo', 'a new fifo', (p) => mkfifo(p, 0o644)],
    ['mknod', 'a new socket', (p) => mknod(p, 0o140644)],
    ['symlink', 'a new symlink', (p) => symlink('target', p)],
  ];
  if (IS_ROOT) makers.push(['mknod', 'a new device', (p) => mknod(p, 0o020644, 0x103)]);
  const cases: TimeCase[] = [];
  for (const [syscall, what, call] of makers) {
    cases.push({
      syscall,
      what,
      changes: { d: 'mc', 'd/x': 'amc', e: '', '.': '' },
      prepare: nothing,
      call: (at) => call(at('d/x')),
    });
    if (syscall === 'open' || syscall === 'creat') continue;
    cases.push({
      syscall,
      what: `${what} where something is`,
      errno: 'EEXIST',
      changes: { d: '', 'd/x': '' },
      prepare: (at) => void make('file', at('d/x')),
      call: (at) => call(at('d/x')),
    });
  }
  for (const kind of KINDS_BUT_DIRECTORY) {
    cases.push({
      syscall: 'link',
      what: `a ${kind}`,
      changes: { d: '', 'd/x': 'c', e: 'mc', 'e/y': 'c' },
      prepare: (at) => void make(kind, at('d/x')),
      call: (at) => link(at('d/x'), at('e/y')),
    });
    cases.push({
      syscall: 'link',
      what: `a ${kind} to a name that is taken`,
      errno: 'EEXIST',
      changes: { d: '', 'd/x': '', e: '', 'e/y': '' },
      prepare: (at) => void [make(kind, at('d/x')), make('file', at('e/y'))],
      call: (at) => link(at('d/x'), at('e/y')),
    });
  }
  return cases;
}

function removingCases(): TimeCase[] {
  const cases: TimeCase[] = KINDS_BUT_DIRECTORY.flatMap((kind): TimeCase[] => [
    {
      syscall: 'unlink',
      what: `the only name of a ${kind}`,
      changes: { d: 'mc', 'd/x': '-', e: '', '.': '' },
      prepare: (at) => void make(kind, at('d/x')),
      call: (at) => unlink(at('d/x')),
    },
    {
      syscall: 'unlink',
      what: `one of two names of a ${kind}`,
      changes: { d: 'mc', 'd/x': '-', e: '', 'e/y': 'c' },
      prepare: (at) => void [make(kind, at('d/x')), must('link', link(at('d/x'), at('e/y')))],
      call: (at) => unlink(at('d/x')),
    },
    {
      syscall: 'rmdir',
      what: `a ${kind}`,
      errno: 'ENOTDIR',
      changes: { d: '', 'd/x': '' },
      prepare: (at) => void make(kind, at('d/x')),
      call: (at) => rmdir(at('d/x')),
    },
  ]);
  cases.push(
    {
      syscall: 'rmdir',
      what: 'an empty directory',
      changes: { d: 'mc', 'd/x': '-', '.': '' },
      prepare: (at) => void make('directory', at('d/x')),
      call: (at) => rmdir(at('d/x')),
    },
    {
      syscall: 'rmdir',
      what: 'a full directory',
      errno: 'ENOTEMPTY',
      changes: { d: '', 'd/x': '', 'd/x/y': '' },
      prepare: (at) => void [make('directory', at('d/x')), make('file', at('d/x/y'))],
      call: (at) => rmdir(at('d/x')),
    },
    {
      syscall: 'unlink',
      what: 'a directory',
      errno: 'EISDIR',
      changes: { d: '', 'd/x': '' },
      prepare: (at) => void make('directory', at('d/x')),
      call: (at) => unlink(at('d/x')),
    },
  );
  return cases;
}

function renameCases(): TimeCase[] {
  const cases: TimeCase[] = [];
  for (const kind of KINDS) {
    cases.push(
      {
        syscall: 'rename',
        what: `a ${kind} within a directory`,
        changes: { d: 'mc', 'd/x': '-', '.': '' },
        prepare: (at) => void make(kind, at('d/x')),
        call: (at) => rename(at('d/x'), at('d/y')),
      },
      {
        syscall: 'rename',
        what: `a ${kind} to another directory`,
        changes: { d: 'mc', e: 'mc', 'd/x': '-', '.': '' },
        prepare: (at) => void make(kind, at('d/x')),
        call: (at) => rename(at('d/x'), at('e/y')),
      },
      {
        syscall: 'rename',
        what: `a ${kind} over another`,
        changes: { d: 'mc', e: 'mc', 'd/x': '-' },
        prepare: (at) => void [make(kind, at('d/x')), make(kind, at('e/y'))],
        call: (at) => rename(at('d/x'), at('e/y')),
      },
      {
        syscall: 'renameat2',
        what: `RENAME_EXCHANGE of a ${kind} and a directory`,
        changes: { d: 'mc', e: 'mc' },
        prepare: (at) => void [make(kind, at('d/x')), make('directory', at('e/y'))],
        call: (at) => renameat2(at('d/x'), at('e/y'), RENAME_EXCHANGE),
      },
      {
        syscall: 'rename',
        what: `a ${kind} over a full directory`,
        errno: kind === 'directory' ? 'ENOTEMPTY' : 'EISDIR',
        changes: { d: '', e: '', 'd/x': '', 'e/y': '', 'e/y/z': '' },
        prepare: (at) => void [make(kind, at('d/x')), make('directory', at('e/y')), make('file', at('e/y/z'))],
        call: (at) => rename(at('d/x'), at('e/y')),
      },
      {
        syscall: 'rename',
        what: `a ${kind} to itself`,
        changes: { d: '', 'd/x': '' },
        prepare: (at) => void make(kind, at('d/x')),
        call: (at) => rename(at('d/x'), at('d/x')),
      },
    );
    if (kind === 'directory') continue;
    cases.push(
      {
        syscall: 'rename',
        what: `a ${kind} over one of two names of another`,
        changes: { d: 'mc', 'd/x': '-', e: 'mc', 'e/z': 'c' },
        prepare: (at) => void [make(kind, at('d/x')), make(kind, at('e/y')), must('link', link(at('e/y'), at('e/z')))],
        call: (at) => rename(at('d/x'), at('e/y')),
      },
      {
        syscall: 'rename',
        what: `a ${kind} over another name of it`,
        changes: { d: '', 'd/x': '', e: '', 'e/y': '' },
        prepare: (at) => void [make(kind, at('d/x')), must('link', link(at('d/x'), at('e/y')))],
        call: (at) => rename(at('d/x'), at('e/y')),
      },
    );
  }
  return cases;
}

/** User attributes are for files and directories (xattr(7)). */
function attributeOf(kind: Kind): string {
  return kind === 'file' || kind === 'directory' ? 'user.a' : 'trusted.a';
}

function attributeCases(): TimeCase[] {
  const given = { s: 3_000, ns: 5 };
  const changers: readonly [syscall: string, what: string, changes: string, call: (path: string) => Result][] = [
    ['lchown', 'to the same ids', 'c', (p) => lchown(p, UID, GID)],
    ['utimensat', 'now and now', 'amc', (p) => utimensat(p, null, AT_SYMLINK_NOFOLLOW)],
    ['utimensat', 'now and omit', 'ac', (p) => utimensat(p, [UTIME_NOW, UTIME_OMIT], AT_SYMLINK_NOFOLLOW)],
    ['utimensat', 'omit and now', 'mc', (p) => utimensat(p, [UTIME_OMIT, UTIME_NOW], AT_SYMLINK_NOFOLLOW)],
    ['utimensat', 'omit and omit', '', (p) => utimensat(p, [UTIME_OMIT, UTIME_OMIT], AT_SYMLINK_NOFOLLOW)],
    ['utimensat', 'given and omit', 'a?c', (p) => utimensat(p, [given, UTIME_OMIT], AT_SYMLINK_NOFOLLOW)],
    ['utimensat', 'omit and given', 'm?c', (p) => utimensat(p, [UTIME_OMIT, given], AT_SYMLINK_NOFOLLOW)],
    ['lstat', 'looking', '', (p) => lstatResult(p)],
  ];
  const ofRoot: typeof changers = IS_ROOT ? [['lchown', 'to other ids', 'c', (p) => lchown(p, 5, 6)]] : [];
  const ofMode: [syscall: string, what: string, changes: string, call: (path: string) => Result][] = [
    ['chmod', 'to another mode', 'c', (p) => chmod(p, 0o700)],
    ['chmod', 'to the same mode', 'c', (p) => chmod(p, 0o640)],
    ['access', 'asking', '', (p) => access(p, 4)],
    ['getxattr', 'a missing attribute', '', (p) => (getxattr(p, 'trusted.missing') < 0 ? 0 : 0)],
    ['listxattr', 'the names', '', (p) => listxattr(p)],
  ];
  if (IS_ROOT) ofMode.push(['setxattr', 'a trusted attribute', 'c', (p) => setxattr(p, 'trusted.a', Buffer.from('v'))]);
  const cases: TimeCase[] = [];
  for (const kind of KINDS) {
    for (const [syscall, what, changes, call] of [...changers, ...ofRoot, ...(kind === 'symlink' ? [] : ofMode)]) {
      cases.push({
        syscall,
        what: `${kind}, ${what}`,
        changes: { d: '', 'd/x': changes },
        prepare: (at) => void make(kind, at('d/x'), { mode: 0o640 }),
        call: (at) => call(at('d/x')),
      });
    }
  }
  for (const kind of KINDS_WITH_MODE) {
    cases.push({
      syscall: 'removexattr',
      what: `${kind}, an attribute`,
      changes: { d: '', 'd/x': 'c' },
      prepare: (at) =>
        void [make(kind, at('d/x')), must('setxattr', setxattr(at('d/x'), attributeOf(kind), Buffer.from('v')))],
      call: (at) => removexattr(at('d/x'), attributeOf(kind)),
    });
  }
  return cases;
}

function contentCases(): TimeCase[] {
  const writers: readonly [
    syscall: string,
    what: string,
    changes: string,
    call: (path: string) => Result,
    errno?: string,
  ][] = [
    ['write', 'within the file', 'mc', (p) => through(p, O_WRONLY, (fd) => pwrite(fd, 'new', 10))],
    ['write', 'behind its end', 'mc', (p) => through(p, O_WRONLY, (fd) => pwrite(fd, 'new', 100_000))],
    ['write', 'O_APPEND', 'mc', (p) => through(p, O_WRONLY | O_APPEND, (fd) => pwrite(fd, 'new', 0))],
    ['write', 'of no bytes', '', (p) => through(p, O_WRONLY, (fd) => pwrite(fd, '', 10))],
    ['truncate', 'to less', 'mc', (p) => truncate(p, 10)],
    ['truncate', 'to more', 'mc', (p) => truncate(p, 100_000)],
    ['truncate', 'to the same size', 'mc', (p) => truncate(p, CONTENT.length)],
    ['truncate', 'to a negative size', '', (p) => truncate(p, -1), 'EINVAL'],
    ['ftruncate', 'to less', 'mc', (p) => through(p, O_WRONLY, (fd) => ftruncate(fd, 10))],
    ['ftruncate', 'to more', 'mc', (p) => through(p, O_WRONLY, (fd) => ftruncate(fd, 100_000))],
    ['ftruncate', 'to the same size', 'mc', (p) => through(p, O_WRONLY, (fd) => ftruncate(fd, CONTENT.length))],
    ['open', 'O_TRUNC', 'mc', (p) => closing(open(p, O_WRONLY | O_TRUNC))],
    ['creat', 'of what is there', 'mc', (p) => closing(creat(p, 0o644))],
    ['open', 'O_CREAT of what is there', '', (p) => closing(open(p, O_WRONLY | O_CREAT, 0o644))],
    ['open', 'O_RDWR and close', '', (p) => closing(open(p, O_RDWR))],
    ['fchmod', 'through a descriptor', 'c', (p) => through(p, O_RDONLY, (fd) => fchmod(fd, 0o600))],
    ['fallocate', 'more space', 'mc', (p) => through(p, O_WRONLY, (fd) => fallocate(fd, 0, 0, 100_000))],
    [
      'fallocate',
      'a hole',
      'mc',
      (p) => through(p, O_WRONLY, (fd) => fallocate(fd, FALLOC.punchHole | FALLOC.keepSize, 0, 4096)),
    ],
    ['fallocate', 'zeros', 'mc', (p) => through(p, O_WRONLY, (fd) => fallocate(fd, FALLOC.zeroRange, 0, 4096))],
    ['fsync', 'nothing to sync', '', (p) => through(p, O_WRONLY, (fd) => fsync(fd))],
    ['fdatasync', 'nothing to sync', '', (p) => through(p, O_WRONLY, (fd) => fdatasync(fd))],
    ['lseek', 'to the end', '', (p) => through(p, O_RDONLY, (fd) => lseek(fd, 0, 2))],
    ['lseek', 'to the hole', '', (p) => through(p, O_RDONLY, (fd) => lseek(fd, 0, 4))],
    ['fcntl', 'flags', '', (p) => through(p, O_RDONLY, (fd) => fcntl(fd, F.setfl, O_NONBLOCK))],
  ];
  const cases = writers.map(([syscall, what, changes, call, errno]): TimeCase => {
    const entry = {
      syscall,
      what,
      changes: { d: '', 'd/x': changes },
      prepare: (at: (name: string) => string) => void makeFile(at('d/x'), CONTENT),
      call: (at: (name: string) => string) => call(at('d/x')),
    };
    return errno === undefined ? entry : { ...entry, errno };
  });
  cases.push(
    {
      syscall: 'copy_file_range',
      what: 'to another file',
      changes: { d: '', 'd/x': 'a?', 'd/y': 'a?mc' },
      prepare: (at) => void [makeFile(at('d/x'), CONTENT), makeFile(at('d/y'), '')],
      call: (at) => copied(at, O_RDONLY),
    },
    {
      syscall: 'copy_file_range',
      what: 'of a file that was opened with O_NOATIME',
      changes: { d: '', 'd/x': '', 'd/y': 'a?mc' },
      prepare: (at) => void [makeFile(at('d/x'), CONTENT), makeFile(at('d/y'), '')],
      call: (at) => copied(at, O_RDONLY | O_NOATIME),
    },
    {
      syscall: 'fsync',
      what: 'after a write',
      changes: { d: '', 'd/x': 'mc' },
      prepare: (at) => void makeFile(at('d/x'), CONTENT),
      call: (at) => through(at('d/x'), O_WRONLY, (fd) => must('write', pwrite(fd, 'x', 0)) && fsync(fd)),
    },
  );
  return cases;
}

function readingCases(): TimeCase[] {
  return [
    {
      syscall: 'read',
      what: 'of bytes in the page cache',
      changes: { d: '', 'd/x': 'a' },
      prepare: (at) => void makeFile(at('d/x'), CONTENT),
      call: (at) => through(at('d/x'), O_RDONLY, (fd) => pread(fd, Buffer.alloc(100), 0)),
    },
    {
      syscall: 'read',
      what: 'of bytes that are in no cache',
      changes: { d: '', 'd/x': 'a' },
      prepare: (at) => {
        makeFile(at('d/x'), CONTENT);
        through(at('d/x'), O_RDONLY, (fd) => (dropCache(fd), 0));
      },
      call: (at) => through(at('d/x'), O_RDONLY, (fd) => pread(fd, Buffer.alloc(100), 0)),
    },
    {
      syscall: 'read',
      what: 'of a large file',
      changes: { d: '', 'd/x': 'a' },
      prepare: (at) => void makeFile(at('d/x'), MUCH_CONTENT),
      call: (at) => through(at('d/x'), O_RDONLY, (fd) => pread(fd, Buffer.alloc(100), 400_000)),
    },
    {
      syscall: 'open',
      what: 'of a large file that nobody reads',
      changes: { d: '', 'd/x': '' },
      prepare: (at) => void makeFile(at('d/x'), MUCH_CONTENT),
      call: (at) => through(at('d/x'), O_RDWR, () => 0),
    },
    {
      syscall: 'write',
      what: 'to a large file that was read before',
      changes: { d: '', 'd/x': 'amc' },
      prepare: (at) => void makeFile(at('d/x'), MUCH_CONTENT),
      call: (at) =>
        through(at('d/x'), O_RDWR, (fd) => {
          must('pread', pread(fd, Buffer.alloc(100), 400_000));
          return pwrite(fd, Buffer.from('changed'), 0);
        }),
    },
    {
      syscall: 'read',
      what: 'of nothing, open for writing',
      errno: 'EBADF',
      changes: { d: '', 'd/x': '' },
      prepare: (at) => void makeFile(at('d/x'), CONTENT),
      call: (at) => through(at('d/x'), O_WRONLY, (fd) => pread(fd, Buffer.alloc(100), 0)),
    },
    {
      syscall: 'getdents',
      what: 'of a directory',
      changes: { '.': '', d: 'a', 'd/x': '' },
      prepare: (at) => void makeFile(at('d/x'), CONTENT),
      call: (at) => through(at('d'), O_RDONLY, (fd) => getdents(fd, Buffer.alloc(4096))),
    },
    {
      syscall: 'readlink',
      what: 'of a symlink',
      changes: { d: '', 'd/x': 'a' },
      prepare: (at) => void make('symlink', at('d/x')),
      call: (at) => readlink(at('d/x')),
    },
    {
      syscall: 'lstat',
      what: 'a missing name',
      errno: 'ENOENT',
      changes: { d: '' },
      prepare: nothing,
      call: (at) => lstatResult(at('d/missing')),
    },
  ];
}

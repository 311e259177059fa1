// privileges.ts — set-id bits and file capabilities are dropped by who changes a file's content or owner: inode(7), capabilities(7).
// Root keeps set-id bits when it writes (CAP_FSETID), but nobody keeps a capability.

import { as, type Caller, GID, OTHER, OWNER, possible, ROOT, SUPPLEMENTARY } from './callers.js';
import {
  close,
  copyFileRange,
  FALLOC,
  fallocate,
  ftruncate,
  MAP_SHARED,
  mmap,
  PROT_READ,
  PROT_WRITE,
  pwrite,
} from './file-calls.js';
import { must, type Result } from './libc.js';
import {
  chmod,
  chown,
  getxattr,
  link,
  O_RDWR,
  O_TRUNC,
  O_WRONLY,
  open,
  removexattr,
  rename,
  setxattr,
  truncate,
  utimensat,
} from './path-calls.js';
import { lstat } from './stat.js';
import { makeFile } from './things.js';
import type { Part, Trial } from './trial.js';

const CAPABILITY = 'security.capability';

/** struct vfs_cap_data, revision 2, effective: cap_net_raw. */
const NET_RAW = Buffer.from('0100000200200000000000000000000000000000', 'hex');

function through(path: string, flags: number, work: (fd: number) => Result): Result {
  const fd = open(path, flags);
  if (fd < 0) return fd;
  const result = work(fd);
  must('close', close(fd));
  return result;
}

interface Change {
  readonly syscall: string;
  readonly how: string;
  readonly call: (path: string) => Result;
  /** Takes set-id bits from a plain caller; capabilities from everybody. */
  readonly drops: boolean;
}

const CHANGES: readonly Change[] = [
  { syscall: 'write', how: 'of bytes', call: (p) => through(p, O_WRONLY, (fd) => pwrite(fd, 'x', 0)), drops: true },
  { syscall: 'write', how: 'of no bytes', call: (p) => through(p, O_WRONLY, (fd) => pwrite(fd, '', 0)), drops: false },
  { syscall: 'truncate', how: 'to less', call: (p) => truncate(p, 3), drops: true },
  { syscall: 'truncate', how: 'to more', call: (p) => truncate(p, 300), drops: true },
  { syscall: 'ftruncate', how: 'to less', call: (p) => through(p, O_WRONLY, (fd) => ftruncate(fd, 3)), drops: true },
  { syscall: 'open', how: 'O_TRUNC', call: (p) => through(p, O_WRONLY | O_TRUNC, () => 0), drops: true },
  { syscall: 'open', how: 'for writing', call: (p) => through(p, O_RDWR, () => 0), drops: false },
  {
    syscall: 'fallocate',
    how: 'more',
    call: (p) => through(p, O_WRONLY, (fd) => fallocate(fd, 0, 0, 10_000)),
    drops: true,
  },
  {
    syscall: 'fallocate',
    how: 'a hole',
    call: (p) => through(p, O_WRONLY, (fd) => fallocate(fd, FALLOC.punchHole | FALLOC.keepSize, 0, 4096)),
    drops: true,
  },
  {
    syscall: 'copy_file_range',
    how: 'from another file',
    call: (p) => through('source', O_RDWR, (from) => through(p, O_WRONLY, (to) => copyFileRange(from, 0, to, 0, 4))),
    drops: true,
  },
  { syscall: 'utimensat', how: 'to now', call: (p) => utimensat(p, null), drops: false },
  { syscall: 'link', how: 'a further name', call: (p) => link(p, `${p} linked`), drops: false },
  {
    syscall: 'rename',
    how: 'a new name',
    call: (p) => must('rename', rename(p, `${p} moved`)) || rename(`${p} moved`, p),
    drops: false,
  },
];

export const privileges: Part = {
  syscalls: [...new Set(CHANGES.map(({ syscall }) => syscall)), 'chown', 'chmod', 'setxattr', 'mmap'],
  run(trial) {
    makeFile('source', 'source content', { mode: 0o666 });
    for (const change of CHANGES) {
      for (const caller of possible([ROOT, OWNER, SUPPLEMENTARY, OTHER])) {
        for (const mode of [0o4777, 0o2777, 0o6777, 0o2767, 0o6766]) checkSetId(trial, change, caller, mode);
        trial.step(() => checkCapability(trial, change, caller));
      }
    }
    trial.rootStep(() => checkChown(trial));
    checkMapping(trial);
    trial.rootStep(() => checkSetting(trial));
  },
};

function expectedMode(mode: number, caller: Caller): number {
  if (caller === ROOT) return mode;
  const executable = (mode & 0o010) !== 0;
  const member = caller.gid === GID || caller.groups.includes(GID);
  return mode & ~0o4000 & (executable || !member ? ~0o2000 : ~0);
}

function checkSetId(trial: Trial, { syscall, how, call, drops }: Change, caller: Caller, mode: number): void {
  trial.about(syscall, `set-id bits, ${how}`);
  const path = makeFile(trial.name(), 'content', { mode });
  const what = `mode ${mode.toString(8)}, by ${caller.name}`;
  // The kernel's protected_hardlinks keeps set-id programs from being linked by others than the owner.
  const free = syscall !== 'link' || caller === ROOT || caller === OWNER;
  trial.answers(
    what,
    free ? 'ok' : ['ok', 'EPERM'],
    as(caller, () => call(path)),
  );
  const expected = drops ? expectedMode(mode, caller) : mode;
  trial.equal(`${what}: the mode`, lstat(path).mode.toString(8), expected.toString(8));
}

function checkCapability(trial: Trial, { syscall, how, call, drops }: Change, caller: Caller): void {
  trial.about(syscall, `capabilities, ${how}`);
  const path = makeFile(trial.name(), 'content', { mode: 0o777 });
  must('setxattr', setxattr(path, CAPABILITY, NET_RAW));
  trial.answers(
    `by ${caller.name}`,
    'ok',
    as(caller, () => call(path)),
  );
  trial.equal(`by ${caller.name}: it has its capability`, getxattr(path, CAPABILITY) >= 0, !drops);
}

function checkChown(trial: Trial): void {
  trial.about('chown', 'capabilities');
  for (const [what, uid, gid] of [
    ['another uid', OTHER.uid, -1],
    ['another gid', -1, OTHER.gid],
    ['the same ids', OWNER.uid, GID],
    ['nothing', -1, -1],
  ] as const) {
    const path = makeFile(trial.name(), 'content', { mode: 0o755 });
    must('setxattr', setxattr(path, CAPABILITY, NET_RAW));
    trial.answers(what, 'ok', chown(path, uid, gid));
    trial.equal(`${what}: it has its capability`, getxattr(path, CAPABILITY) >= 0, false);
  }
  trial.about('chmod', 'capabilities');
  const path = makeFile(trial.name(), 'content', { mode: 0o755 });
  must('setxattr', setxattr(path, CAPABILITY, NET_RAW));
  trial.answers('another mode', 'ok', chmod(path, 0o700));
  trial.equal('another mode: it has its capability', getxattr(path, CAPABILITY) >= 0, true);
}

/** Mapping for writing is no write: a store changes content without dropping anything. */
function checkMapping(trial: Trial): void {
  trial.about('mmap', 'set-id bits');
  const path = makeFile(trial.name(), 'content', { mode: 0o6777 });
  const fd = must('open', open(path, O_RDWR));
  const mapping = mmap(fd, 7, PROT_READ | PROT_WRITE, MAP_SHARED);
  trial.equal('a shared mapping', typeof mapping, 'object');
  if (typeof mapping !== 'number') must('munmap', mapping.unmap());
  trial.equal('the mode', lstat(path).mode.toString(8), '6777');
  must('close', close(fd));
}

/** Only who has CAP_SETFCAP gives capabilities. */
function checkSetting(trial: Trial): void {
  trial.about('setxattr', 'capabilities');
  for (const caller of [ROOT, OWNER, OTHER]) {
    const path = makeFile(trial.name(), 'content', { mode: 0o777 });
    const expected = caller === ROOT ? 'ok' : 'EPERM';
    if (trial.decides('giving', expected, [path], () => setxattr(path, CAPABILITY, NET_RAW), caller)) {
      const into = Buffer.alloc(64);
      const length = getxattr(path, CAPABILITY, into);
      trial.equal('what was given', into.toString('hex', 0, Math.max(0, length)), NET_RAW.toString('hex'));
    }
    trial.refuses('giving nonsense', 'EINVAL', [path], () => setxattr(path, CAPABILITY, Buffer.from('x')), ROOT);
    must('setxattr', setxattr(path, CAPABILITY, NET_RAW));
    trial.decides('taking', expected, [path], () => removexattr(path, CAPABILITY), caller);
  }
}

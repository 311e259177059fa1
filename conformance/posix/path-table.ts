// path-table.ts — every call that takes a path, in one form, for what they have in common: how paths are resolved
// (path_resolution(7)), and which errors that has. A call that makes something must not find it; all others must.

import { close } from './file-calls.js';
import { type Path, type Result } from './libc.js';
import {
  access,
  chdir,
  chmod,
  chown,
  creat,
  getxattr,
  lchown,
  lgetxattr,
  link,
  listxattr,
  llistxattr,
  lremovexattr,
  lsetxattr,
  mkdir,
  mkfifo,
  mknod,
  nameToHandle,
  newHandle,
  AT_FDCWD,
  AT_SYMLINK_NOFOLLOW,
  O_CREAT,
  O_EXCL,
  O_NONBLOCK,
  O_PATH,
  O_NOFOLLOW,
  O_RDONLY,
  O_RDWR,
  open,
  openat2,
  readlink,
  removexattr,
  rename,
  RENAME_EXCHANGE,
  RENAME_NOREPLACE,
  renameat2,
  rmdir,
  setxattr,
  statfs,
  symlink,
  truncate,
  unlink,
  utimensat,
} from './path-calls.js';
import { lstatResult, statResult } from './stat.js';

export interface PathCall {
  readonly syscall: string;
  /** What distinguishes it from others of the same system call. */
  readonly how?: string;
  /** The last component: must not be there, must be, or is made if it is not. */
  readonly last: 'new' | 'old' | 'any';
  /** Whether a symbolic link as the last component is followed. */
  readonly follows: boolean;
  /** Takes the name away, so that even a slash behind it does not make it follow a symbolic link. */
  readonly removes?: boolean;
  /** Answer to a null pointer where it is not EFAULT: what libc says before the kernel is asked. */
  readonly ofNull?: string;
  /** `other`: a name in the working directory, where what the call needs besides is found (two-path calls). */
  readonly call: (path: Path, other: string) => Result;
  /** What the other name must be for that. */
  readonly other?: 'file' | 'none';
}

function closing(result: Result): Result {
  return result < 0 ? result : close(result);
}

const VALUE = Buffer.from('value');
const FIFO = 0o010000;

export const PATH_CALLS: readonly PathCall[] = [
  { syscall: 'open', last: 'old', follows: true, call: (p) => closing(open(p, O_RDONLY | O_NONBLOCK)) },
  { syscall: 'open', how: 'O_RDWR', last: 'old', follows: true, call: (p) => closing(open(p, O_RDWR | O_NONBLOCK)) },
  {
    syscall: 'open',
    how: 'O_CREAT|O_EXCL',
    last: 'new',
    follows: false,
    call: (p) => closing(open(p, O_CREAT | O_EXCL, 0o644)),
  },
  { syscall: 'open', how: 'O_PATH', last: 'old', follows: true, call: (p) => closing(open(p, O_PATH)) },
  {
    syscall: 'open',
    how: 'O_PATH|O_NOFOLLOW',
    last: 'old',
    follows: false,
    call: (p) => closing(open(p, O_PATH | O_NOFOLLOW)),
  },
  { syscall: 'openat2', last: 'old', follows: true, call: (p) => closing(openat2(AT_FDCWD, p, { flags: O_NONBLOCK })) },
  {
    syscall: 'openat2',
    how: 'O_CREAT|O_EXCL',
    last: 'new',
    follows: false,
    call: (p) => closing(openat2(AT_FDCWD, p, { flags: O_CREAT | O_EXCL, mode: 0o644 })),
  },
  { syscall: 'mkdir', last: 'new', follows: false, call: (p) => mkdir(p, 0o755) },
  { syscall: 'mknod', how: 'of a fifo', last: 'new', follows: false, call: (p) => mknod(p, FIFO | 0o644) },
  { syscall: 'mkfifo', last: 'new', follows: false, call: (p) => mkfifo(p, 0o644) },
  { syscall: 'symlink', last: 'new', follows: false, call: (p) => symlink('target', p) },
  { syscall: 'link', how: 'new path', last: 'new', follows: false, other: 'file', call: (p, other) => link(other, p) },
  { syscall: 'link', how: 'old path', last: 'old', follows: false, other: 'none', call: (p, other) => link(p, other) },
  { syscall: 'unlink', last: 'old', follows: false, removes: true, call: (p) => unlink(p) },
  { syscall: 'rmdir', last: 'old', follows: false, removes: true, call: (p) => rmdir(p) },
  {
    syscall: 'rename',
    how: 'old path',
    last: 'old',
    follows: false,
    removes: true,
    other: 'none',
    call: (p, other) => rename(p, other),
  },
  {
    syscall: 'renameat2',
    how: 'new path, RENAME_NOREPLACE',
    last: 'new',
    follows: false,
    other: 'file',
    call: (p, other) => renameat2(other, p, RENAME_NOREPLACE),
  },
  {
    syscall: 'renameat2',
    how: 'new path, RENAME_EXCHANGE',
    last: 'old',
    follows: false,
    removes: true,
    other: 'file',
    call: (p, other) => renameat2(other, p, RENAME_EXCHANGE),
  },
  { syscall: 'readlink', last: 'old', follows: false, call: (p) => readlink(p) },
  { syscall: 'chmod', last: 'old', follows: true, call: (p) => chmod(p, 0o755) },
  { syscall: 'chown', last: 'old', follows: true, call: (p) => chown(p, -1, -1) },
  { syscall: 'lchown', last: 'old', follows: false, call: (p) => lchown(p, -1, -1) },
  { syscall: 'truncate', last: 'old', follows: true, call: (p) => truncate(p, 0) },
  { syscall: 'utimensat', ofNull: 'EINVAL', last: 'old', follows: true, call: (p) => utimensat(p, null) },
  {
    syscall: 'utimensat',
    how: 'AT_SYMLINK_NOFOLLOW',
    ofNull: 'EINVAL',
    last: 'old',
    follows: false,
    call: (p) => utimensat(p, null, AT_SYMLINK_NOFOLLOW),
  },
  { syscall: 'stat', last: 'old', follows: true, call: (p) => statResult(p) },
  { syscall: 'lstat', last: 'old', follows: false, call: (p) => lstatResult(p) },
  { syscall: 'access', last: 'old', follows: true, call: (p) => access(p, 0) },
  { syscall: 'chdir', last: 'old', follows: true, call: (p) => chdir(p) },
  { syscall: 'statfs', last: 'old', follows: true, call: (p) => statfs(p) },
  { syscall: 'creat', last: 'any', follows: true, call: (p) => closing(creat(p, 0o644)) },
  { syscall: 'setxattr', last: 'old', follows: true, call: (p) => setxattr(p, 'user.test', VALUE) },
  { syscall: 'lsetxattr', last: 'old', follows: false, call: (p) => lsetxattr(p, 'user.test', VALUE) },
  { syscall: 'getxattr', last: 'old', follows: true, call: (p) => getxattr(p, 'user.test') },
  { syscall: 'lgetxattr', last: 'old', follows: false, call: (p) => lgetxattr(p, 'user.test') },
  { syscall: 'listxattr', last: 'old', follows: true, call: (p) => listxattr(p) },
  { syscall: 'llistxattr', last: 'old', follows: false, call: (p) => llistxattr(p) },
  { syscall: 'removexattr', last: 'old', follows: true, call: (p) => removexattr(p, 'user.test') },
  { syscall: 'lremovexattr', last: 'old', follows: false, call: (p) => lremovexattr(p, 'user.test') },
  { syscall: 'name_to_handle_at', last: 'old', follows: false, call: (p) => nameToHandle(p, newHandle()) },
];

export const PATH_SYSCALLS: readonly string[] = [...new Set(PATH_CALLS.map(({ syscall }) => syscall))];

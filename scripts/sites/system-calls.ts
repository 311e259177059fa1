// system-calls.ts — what Node's fs module lacks: extended attributes (xattr(7)), renameat2(2), mkfifo(3), flock(2).
// Paths are Buffers: names are bytes. Calls are synchronous and follow no symbolic link.

import { constants } from 'node:os';
import koffi from 'koffi';

const libc = koffi.load('libc.so.6');
const llistxattr = libc.func('intptr_t llistxattr(const void *path, _Out_ uint8_t *list, size_t size)');
const lgetxattr = libc.func(
  'intptr_t lgetxattr(const void *path, const char *name, _Out_ uint8_t *value, size_t size)',
);
const lsetxattr = libc.func(
  'int lsetxattr(const void *path, const char *name, const void *value, size_t size, int flags)',
);
const lremovexattr = libc.func('int lremovexattr(const void *path, const char *name)');
const renameat2 = libc.func(
  'int renameat2(int olddirfd, const void *oldpath, int newdirfd, const void *newpath, uint32_t flags)',
);
const flock = libc.func('int flock(int fd, int operation)');
const mkfifo = libc.func('int mkfifo(const void *path, uint32_t mode)');

/** linux/limits.h: XATTR_LIST_MAX and XATTR_SIZE_MAX, both 64 KiB. */
const XATTR_MAX_BYTES = 65_536;
const AT_FDCWD = -100;
const RENAME_EXCHANGE = 2;
const LOCK_EX = 2;
const LOCK_NB = 4;

/** All extended attributes of a path, by name. Filesystems without them show none. */
export function readXattrs(path: Buffer): Map<string, Buffer> {
  const list = Buffer.alloc(XATTR_MAX_BYTES);
  const xattrs = new Map<string, Buffer>();
  const length = llistxattr(zeroEnded(path), list, list.length) as number;
  if (length < 0) {
    if (koffi.errno() === koffi.os.errno['ENOTSUP'] || koffi.errno() === koffi.os.errno['EOPNOTSUPP']) return xattrs;
    throw systemError('llistxattr', path);
  }
  const names = list.toString('latin1', 0, length).split('\0').slice(0, -1).toSorted();
  for (const name of names) {
    const value = Buffer.alloc(XATTR_MAX_BYTES);
    const size = lgetxattr(zeroEnded(path), name, value, value.length) as number;
    if (size < 0) throw systemError('lgetxattr', path);
    xattrs.set(name, Buffer.from(value.subarray(0, size)));
  }
  return xattrs;
}

/** Sets an extended attribute, e.g. `user.comment`. */
export function setXattr(path: Buffer, name: string, value: Buffer): void {
  if (lsetxattr(zeroEnded(path), name, value, value.length, 0) !== 0) throw systemError('lsetxattr', path);
}

export function removeXattr(path: Buffer, name: string): void {
  if (lremovexattr(zeroEnded(path), name) !== 0) throw systemError('lremovexattr', path);
}

/** Swaps two names in one step. */
export function exchangeNames(first: Buffer, second: Buffer): void {
  if (renameat2(AT_FDCWD, zeroEnded(first), AT_FDCWD, zeroEnded(second), RENAME_EXCHANGE) !== 0) {
    throw systemError('renameat2', first);
  }
}

/** Makes a named pipe with mode 0644, less the umask. */
export function makeFifo(path: Buffer): void {
  if (mkfifo(zeroEnded(path), 0o644) !== 0) throw systemError('mkfifo', path);
}

/** Takes the exclusive lock of an open file; EAGAIN when another descriptor of this machine has it. */
export function lockFile(descriptor: number): void {
  if (flock(descriptor, LOCK_EX | LOCK_NB) !== 0) throw systemError('flock', Buffer.from(`descriptor ${descriptor}`));
}

function zeroEnded(path: Buffer): Buffer {
  return Buffer.concat([path, Buffer.of(0)]);
}

function systemError(syscall: string, path: Buffer): NodeJS.ErrnoException {
  const errno = koffi.errno();
  const code = Object.entries(constants.errno).find(([, number]) => number === errno)?.[0] ?? `errno ${errno}`;
  const error: NodeJS.ErrnoException = new Error(`${code}: ${syscall} ${path.toString('latin1')}`);
  return Object.assign(error, { code, errno, syscall });
}

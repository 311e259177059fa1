// handlers.ts — which handler answers which opcode. What is not in the table is answered ENOSYS, after which the kernel does without.
// Among those on purpose: FLUSH (RELEASE publishes the version), ACCESS (default_permissions), IOCTL, POLL, BMAP, and locks, which
// the kernel keeps by itself. INIT and INTERRUPT belong to the session.

import { getattr, setattr, statfs, statx } from './attribute-handlers.js';
import { EMPTY, type Handler } from './call.js';
import { fsyncdir, opendir, readdir, readdirplus, releasedir } from './directory-handlers.js';
import {
  copyFileRange,
  copyFileRange64,
  create,
  fallocate,
  fsync,
  lseek,
  open,
  read,
  release,
  tmpfile,
  write,
} from './file-handlers.js';
import { batchForget, forget } from './forget-handlers.js';
import { link, lookup, mkdir, mknod, readlink, rename, rename2, rmdir, symlink, unlink } from './namespace-handlers.js';
import { OPCODE, OPCODE_LIMIT } from './opcodes.js';
import { getxattr, listxattr, removexattr, setxattr } from './xattr-handlers.js';

const BY_OPCODE: readonly (readonly [number, Handler])[] = [
  [OPCODE.LOOKUP, lookup],
  [OPCODE.FORGET, forget],
  [OPCODE.BATCH_FORGET, batchForget],
  [OPCODE.GETATTR, getattr],
  [OPCODE.STATX, statx],
  [OPCODE.SETATTR, setattr],
  [OPCODE.READLINK, readlink],
  [OPCODE.SYMLINK, symlink],
  [OPCODE.MKNOD, mknod],
  [OPCODE.MKDIR, mkdir],
  [OPCODE.UNLINK, unlink],
  [OPCODE.RMDIR, rmdir],
  [OPCODE.RENAME, rename],
  [OPCODE.RENAME2, rename2],
  [OPCODE.LINK, link],
  [OPCODE.OPEN, open],
  [OPCODE.CREATE, create],
  [OPCODE.TMPFILE, tmpfile],
  [OPCODE.READ, read],
  [OPCODE.WRITE, write],
  [OPCODE.RELEASE, release],
  [OPCODE.FSYNC, fsync],
  [OPCODE.FALLOCATE, fallocate],
  [OPCODE.LSEEK, lseek],
  [OPCODE.COPY_FILE_RANGE, copyFileRange],
  [OPCODE.COPY_FILE_RANGE_64, copyFileRange64],
  [OPCODE.STATFS, statfs],
  [OPCODE.OPENDIR, opendir],
  [OPCODE.RELEASEDIR, releasedir],
  [OPCODE.READDIR, readdir],
  [OPCODE.READDIRPLUS, readdirplus],
  [OPCODE.FSYNCDIR, fsyncdir],
  [OPCODE.SYNCFS, fsyncdir],
  [OPCODE.GETXATTR, getxattr],
  [OPCODE.LISTXATTR, listxattr],
  [OPCODE.SETXATTR, setxattr],
  [OPCODE.REMOVEXATTR, removexattr],
  [OPCODE.DESTROY, () => EMPTY],
];

/** Handlers by opcode. */
export const HANDLERS: readonly (Handler | undefined)[] = (() => {
  const table: (Handler | undefined)[] = Array.from({ length: OPCODE_LIMIT }, () => undefined);
  for (const [opcode, handler] of BY_OPCODE) table[opcode] = handler;
  return table;
})();

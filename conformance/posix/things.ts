// things.ts — the kinds of file that a directory can hold, and making one for a test.

import { GID, IS_ROOT, UID } from './callers.js';
import { close, write } from './file-calls.js';
import { must } from './libc.js';
import { chmod, lchown, makeDevice, mkdir, mknod, O_CREAT, O_EXCL, O_WRONLY, open, symlink } from './path-calls.js';

export type Kind = 'file' | 'directory' | 'symlink' | 'fifo' | 'character device' | 'block device' | 'socket';

/** All that this process can make: devices only as root. */
export const KINDS: readonly Kind[] = [
  'file',
  'directory',
  'symlink',
  'fifo',
  ...(IS_ROOT ? (['character device', 'block device'] as const) : []),
  'socket',
];

/** Those that chmod(2) changes. */
export const KINDS_WITH_MODE: readonly Kind[] = KINDS.filter((kind) => kind !== 'symlink');
export const KINDS_BUT_DIRECTORY: readonly Kind[] = KINDS.filter((kind) => kind !== 'directory');

/** S_IFMT. */
export const TYPE_BITS: Record<Kind, number> = {
  file: 0o100000,
  directory: 0o040000,
  symlink: 0o120000,
  fifo: 0o010000,
  'character device': 0o020000,
  'block device': 0o060000,
  socket: 0o140000,
};

/** DT_* of readdir(3). */
export function entryType(kind: Kind): number {
  return TYPE_BITS[kind] >> 12;
}

/** /dev/null's number, and one that no driver has. */
const NULL_DEVICE = makeDevice(1, 3);
const NO_DEVICE = makeDevice(240, 77);
/** Where a symlink made here leads: nowhere. */
export const NOWHERE = 'leads-nowhere';

export interface Owned {
  readonly uid?: number;
  readonly gid?: number;
  /** Whatever the umask is. */
  readonly mode?: number;
}

/** Neither OWNER nor GROUP, where this process can give things away. */
export const SOMEBODY: Owned = IS_ROOT ? { uid: 0, gid: 0 } : {};

/** Makes something as root; it belongs to OWNER and GROUP unless said otherwise. Returns the path. */
export function make(kind: Kind, path: string, { uid = UID, gid = GID, mode }: Owned = {}): string {
  const bits = mode ?? (kind === 'directory' ? 0o755 : 0o644);
  must(`make ${kind} ${path}`, makeAs(kind, path, bits));
  must('lchown', lchown(path, uid, gid));
  if (kind !== 'symlink') must('chmod', chmod(path, bits));
  return path;
}

/** Makes something by its own system call, with what that answers. */
export function makeAs(kind: Kind, path: string, mode: number): number {
  switch (kind) {
    case 'file': {
      const fd = open(path, O_CREAT | O_EXCL | O_WRONLY, mode);
      return fd < 0 ? fd : close(fd);
    }
    case 'directory':
      return mkdir(path, mode);
    case 'symlink':
      return symlink(NOWHERE, path);
    case 'character device':
      return mknod(path, TYPE_BITS[kind] | mode, NULL_DEVICE);
    case 'block device':
      return mknod(path, TYPE_BITS[kind] | mode, NO_DEVICE);
    case 'fifo':
    case 'socket':
      return mknod(path, TYPE_BITS[kind] | mode);
  }
}

/** A file with content, owned like {@link make}'s. */
export function makeFile(path: string, content: string | Buffer, owned: Owned = {}): string {
  make('file', path, { ...owned, mode: 0o600 });
  const fd = must('open', open(path, O_WRONLY));
  const bytes = typeof content === 'string' ? Buffer.from(content, 'latin1') : content;
  for (let at = 0; at < bytes.length;) at += must('write', write(fd, bytes.subarray(at)));
  must('close', close(fd));
  must('lchown', lchown(path, owned.uid ?? UID, owned.gid ?? GID));
  must('chmod', chmod(path, owned.mode ?? 0o644));
  return path;
}

// file-system.ts — what a volume offers to a driver: POSIX calls on inode numbers. Implemented by volume-files.ts, called by lib/fuse.
// Errors are PosixErrors. A call that needs bytes this site does not hold throws AbsentObjects before it changes anything: the
// driver parks the request and repeats it when they came. Names and targets are latin1 strings of their bytes.
// Permissions are checked by the kernel (mount option default_permissions), not here.

import type { Ino, Name } from '../crdt/ids.js';
import type { Timestamp } from '../crdt/inode.js';

export type { Ino, Name, Timestamp };

/** Who calls. */
export interface Caller {
  readonly uid: number;
  readonly gid: number;
  readonly pid: number;
}

/** stat(2), statx(2). `mode` has the S_IFMT bits; `rdev` is in the kernel's new_encode_dev form (fuse_attr.rdev); `blocks` are 512 bytes. */
export interface Attributes {
  ino: Ino;
  mode: number;
  nlink: number;
  uid: number;
  gid: number;
  rdev: number;
  size: number;
  blocks: number;
  atime: Timestamp;
  mtime: Timestamp;
  ctime: Timestamp;
  btime: Timestamp;
  /** How long the name that led here may be believed, seconds; when absent: until the kernel is told otherwise. */
  nameSeconds?: number;
  /** How long the attributes may be believed, seconds; when absent: until the kernel is told otherwise. */
  seconds?: number;
}

/** What setattr changes; an absent field stays. 'now' is UTIME_NOW. */
export interface AttributeChanges {
  mode?: number;
  uid?: number;
  gid?: number;
  size?: number;
  atime?: Timestamp | 'now';
  mtime?: Timestamp | 'now';
  ctime?: Timestamp;
  /** FATTR_KILL_SUIDGID: drop set-user-id, set-group-id and file capabilities. */
  killSuidGid?: boolean;
}

export interface Opened {
  /** File handle, 1 … 2^53-1. */
  readonly handle: number;
  /** The kernel may keep the page cache that it has for this inode. */
  readonly keepCache: boolean;
  /** O_DIRECT-like: bypass the page cache. */
  readonly directIo: boolean;
  /**
   * Descriptor of a local file that holds all of this file's bytes: reads, writes and mmap go to it without a round trip (FUSE
   * passthrough). Given only after passthrough was agreed. Every open of an inode that is open with a backing must give the same
   * descriptor, and none may be given while the inode is open without; open means: not released yet. The descriptor stays open until
   * the last release, which comes when the file is neither open nor mapped any more; how that is seen (isOnlyOpener of lib/fuse) needs
   * it to be open for reading and writing, and nobody else to keep the local file open.
   */
  readonly backing?: number;
}

/** A new file, open already. */
export interface Created {
  readonly attributes: Attributes;
  readonly opened: Opened;
}

export interface StatFs {
  readonly blockSize: number;
  readonly blocks: number;
  readonly blocksFree: number;
  readonly blocksAvailable: number;
  readonly files: number;
  readonly filesFree: number;
  readonly nameLength: number;
}

/** One entry for readdir. */
export interface DirectoryEntry {
  readonly name: Name;
  readonly ino: Ino;
  /** S_IFMT >> 12. */
  readonly type: number;
  /** Resume after this entry with this cookie. */
  readonly cookie: number;
}

/** rename2(2) flags. */
export const RENAME_NOREPLACE = 1;
export const RENAME_EXCHANGE = 2;
export const RENAME_WHITEOUT = 4;

export interface FileSystem {
  /** From now on a call may leave part of its work to {@link settle}: the caller of the mount waits for less. */
  replyFirst(): void;
  /** Completes the last call. After {@link replyFirst} it has to follow each call, once that was answered, before anything else. */
  settle(): void;
  /** From now on {@link forget} is called: an inode that was removed is kept as it is until then. */
  awaitForget(): void;
  /** The kernel refers to an inode no more (FORGET): not by a name, nor by any descriptor, those of O_PATH among them. */
  forget(ino: Ino): void;

  /** Undefined when there is no such entry: the driver replies a cacheable negative entry. */
  lookup(parent: Ino, name: Name): Attributes | undefined;
  getattr(ino: Ino): Attributes;
  setattr(ino: Ino, changes: AttributeChanges, caller: Caller, handle: number | undefined): Attributes;
  readlink(ino: Ino): string;

  mknod(parent: Ino, name: Name, mode: number, rdev: number, umask: number, caller: Caller): Attributes;
  mkdir(parent: Ino, name: Name, mode: number, umask: number, caller: Caller): Attributes;
  symlink(parent: Ino, name: Name, target: string, caller: Caller): Attributes;
  link(ino: Ino, parent: Ino, name: Name, caller: Caller): Attributes;
  unlink(parent: Ino, name: Name, caller: Caller): void;
  rmdir(parent: Ino, name: Name, caller: Caller): void;
  rename(parent: Ino, name: Name, newParent: Ino, newName: Name, flags: number, caller: Caller): void;

  create(parent: Ino, name: Name, mode: number, flags: number, umask: number, caller: Caller): Created;
  /** O_TMPFILE: an inode without a name. */
  tmpfile(parent: Ino, mode: number, flags: number, umask: number, caller: Caller): Created;
  /** `flags` as open(2), O_TRUNC included (ATOMIC_O_TRUNC). `killSuidGid`: FUSE_OPEN_KILL_SUIDGID. */
  open(ino: Ino, flags: number, killSuidGid: boolean, caller: Caller): Opened;
  /** Copies up to `length` bytes at `offset` of the file into `into` at `at`; returns how many, less than asked only at the end of the file. */
  read(handle: number, offset: number, length: number, into: Buffer, at: number): number;
  /** Takes all of `data` or throws; `data` is only valid during the call. `killSuidGid`: FUSE_WRITE_KILL_SUIDGID. */
  write(handle: number, offset: number, data: Buffer, killSuidGid: boolean): number;
  release(handle: number): void;
  /** Returns when the file's data and metadata are on stable storage. */
  fsync(handle: number, dataOnly: boolean): void;
  fallocate(handle: number, mode: number, offset: number, length: number): void;
  /** SEEK_DATA (3) or SEEK_HOLE (4) only. */
  lseek(handle: number, offset: number, whence: number): number;
  copyFileRange(source: number, sourceOffset: number, target: number, targetOffset: number, length: number): number;

  /** Emits entries after `cookie` (0: from the start; '.' and '..' included) until `emit` returns false, meaning that one did not fit. */
  readdir(ino: Ino, cookie: number, emit: (entry: DirectoryEntry) => boolean): void;
  fsyncdir(ino: Ino): void;
  statfs(): StatFs;

  /** Whether the file was opened with O_NOATIME. */
  leavesAtime(handle: number): boolean;
  /** Whether {@link accessed} would move atime now. */
  readMoves(ino: Ino, always: boolean): boolean;
  /**
   * Somebody read the content, the target or the entries, at `time` or now: atime moves there if the inode changed since (relatime), or
   * `always`. Nothing is written for it.
   */
  accessed(ino: Ino, always: boolean, time?: Timestamp): void;

  getxattr(ino: Ino, name: string): Buffer;
  listxattr(ino: Ino): string[];
  /** `flags`: XATTR_CREATE 1, XATTR_REPLACE 2. `killSgid`: FUSE_SETXATTR_ACL_KILL_SGID. */
  setxattr(ino: Ino, name: string, value: Buffer, flags: number, killSgid: boolean, caller: Caller): void;
  removexattr(ino: Ino, name: string, caller: Caller): void;
}

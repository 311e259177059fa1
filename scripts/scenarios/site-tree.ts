// site-tree.ts — what programs at one site do and see: system calls on paths, on a real mount or in the simulator.
// Paths, names, texts and values are latin1 strings of their bytes; a path is relative to the mountpoint, which is '.' itself.
// Calls reject with an Error whose `code` is the errno. Nothing follows a symbolic link.

import { createHash } from 'node:crypto';
import type { EntryType, TreeEntry, TreeSnapshot } from '../sites/tree-snapshot.js';

export interface PathStat {
  readonly type: EntryType;
  /** Permission bits with set-id and sticky. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly nlink: number;
  readonly inode: number;
  readonly sizeBytes: number;
  /** Nanoseconds since 1970. */
  readonly mtimeNs: bigint;
}

/** A descriptor, opened for reading and appending. */
export interface OpenFile {
  read(): Promise<string>;
  append(text: string): Promise<void>;
  /** flock(2) with LOCK_EX and LOCK_NB. */
  lock(): Promise<void>;
  close(): Promise<void>;
}

export interface SiteTree {
  stat(path: string): Promise<PathStat>;
  /** Names in a directory, sorted, without `.` and `..`. */
  list(path: string): Promise<string[]>;
  read(path: string): Promise<string>;
  readlink(path: string): Promise<string>;
  xattrs(path: string): Promise<ReadonlyMap<string, string>>;
  snapshot(): Promise<TreeSnapshot>;

  mkdir(path: string): Promise<void>;
  rmdir(path: string): Promise<void>;
  /** As a shell's `>`: O_CREAT and O_TRUNC. */
  write(path: string, text: string): Promise<void>;
  /** O_EXCL: EEXIST when there is something. With `sync` also fsync(2). */
  create(path: string, text: string, sync: boolean): Promise<void>;
  /** As a shell's `>>`. */
  append(path: string, text: string): Promise<void>;
  writeAt(path: string, offset: number, text: string): Promise<void>;
  truncate(path: string, sizeBytes: number): Promise<void>;
  rename(from: string, to: string): Promise<void>;
  exchange(path: string, other: string): Promise<void>;
  unlink(path: string): Promise<void>;
  link(existing: string, path: string): Promise<void>;
  symlink(target: string, path: string): Promise<void>;
  mkfifo(path: string): Promise<void>;
  chmod(path: string, mode: number): Promise<void>;
  /** An id of null stays. */
  chown(path: string, uid: number | null, gid: number | null): Promise<void>;
  /** Sets the mtime, in seconds since 1970; null: now. */
  touch(path: string, timeSeconds: number | null): Promise<void>;
  setxattr(path: string, name: string, value: string): Promise<void>;
  removexattr(path: string, name: string): Promise<void>;
  /** `handle` tells the descriptors of a site apart. */
  open(handle: string, path: string): Promise<OpenFile>;
}

/** `directory/name` as a path. */
export function below(directory: string, name: string): string {
  return directory === '.' ? name : `${directory}/${name}`;
}

/** Every path below the root, directories before what is in them. */
export async function allPaths(tree: SiteTree, directory = '.'): Promise<string[]> {
  const paths: string[] = [];
  for (const name of await tree.list(directory)) {
    const path = below(directory, name);
    paths.push(path);
    if ((await tree.stat(path)).type === 'directory') paths.push(...(await allPaths(tree, path)));
  }
  return paths;
}

/** What a tree shows, call by call. */
export async function snapshotOf(tree: SiteTree): Promise<TreeSnapshot> {
  const entries = new Map<string, TreeEntry>();
  for (const path of ['.', ...(await allPaths(tree))]) {
    const { type, mode, uid, gid, mtimeNs, nlink, inode, sizeBytes } = await tree.stat(path);
    const xattrs = await tree.xattrs(path);
    entries.set(path, {
      type,
      mode: mode.toString(8).padStart(4, '0'),
      owner: `${uid}:${gid}`,
      mtime: mtimeNs,
      nlink: BigInt(nlink),
      inode: BigInt(inode),
      size: type === 'directory' ? null : BigInt(sizeBytes),
      target: type === 'symlink' ? await tree.readlink(path) : null,
      content: type === 'file' ? sha256(await tree.read(path)) : null,
      xattrs: [...xattrs].map(([name, value]) => `${name}=${Buffer.from(value, 'latin1').toString('hex')}`).toSorted(),
    });
  }
  return entries;
}

function sha256(latin1: string): string {
  return createHash('sha256').update(latin1, 'latin1').digest('hex');
}

// open-files.ts — the table of open file handles, by handle and by inode.
// Invariant: a handle sees the version that it was opened on, and what this site wrote since; never a version that arrived from
// another site meanwhile.

import { posixError } from '../errno.js';
import type { Ino, ObjectId, OpId } from '../crdt/ids.js';
import type { Manifest } from '../chunks/manifest.js';

/** A content version as a handle knows it. */
export interface OpenVersion {
  /** '' for a file that was never written. */
  readonly manifestId: ObjectId | '';
  readonly size: number;
  /** As stat(2) counts them; absent where there are no holes. */
  readonly blocks?: number | undefined;
  /** The head ops that a write through this handle is based on. */
  readonly bases: readonly OpId[];
}

/** One open file description. */
export interface OpenFile {
  readonly handle: number;
  readonly ino: Ino;
  readonly readable: boolean;
  readonly writable: boolean;
  readonly synchronous: boolean;
  /** Every write goes to the end (O_APPEND), wherever the kernel believes that to be. */
  readonly appends: boolean;
  /** Reading through it moves no atime (O_NOATIME). */
  readonly leavesAtime: boolean;
  /** The kernel reads and writes the local file itself. */
  readonly backed: boolean;
  version: OpenVersion;
  /** Decoded manifest of `version`, once it was read. */
  manifest: Manifest | null;
}

const O_ACCMODE = 3;
const O_RDONLY = 0;
const O_WRONLY = 1;
const O_APPEND = 0o2000;
const O_DSYNC = 0o10000;
const O_NOATIME = 0o1000000;

export class OpenFiles {
  private readonly byHandle = new Map<number, OpenFile>();
  private readonly byIno = new Map<Ino, Set<OpenFile>>();
  private next = 1;

  constructor(
    /** Told of every version that a handle is about to show. */
    private readonly cited: (manifest: ObjectId) => void,
  ) {}

  open(ino: Ino, flags: number, version: OpenVersion, backed: boolean): OpenFile {
    const access = flags & O_ACCMODE;
    const file: OpenFile = {
      handle: this.next++,
      ino,
      readable: access !== O_WRONLY,
      writable: access !== O_RDONLY,
      synchronous: (flags & O_DSYNC) !== 0,
      appends: (flags & O_APPEND) !== 0,
      leavesAtime: (flags & O_NOATIME) !== 0,
      backed,
      version,
      manifest: null,
    };
    if (version.manifestId !== '') this.cited(version.manifestId);
    this.byHandle.set(file.handle, file);
    const siblings = this.byIno.get(ino);
    if (siblings) siblings.add(file);
    else this.byIno.set(ino, new Set([file]));
    return file;
  }

  /** @throws PosixError EBADF */
  get(handle: number): OpenFile {
    const file = this.byHandle.get(handle);
    if (!file) throw posixError('EBADF');
    return file;
  }

  /** @throws PosixError EBADF when it is not open for writing */
  writable(handle: number): OpenFile {
    const file = this.get(handle);
    if (!file.writable) throw posixError('EBADF');
    return file;
  }

  /** Forgets the handle; true when it was the inode's last. */
  close(file: OpenFile): boolean {
    this.byHandle.delete(file.handle);
    const siblings = this.byIno.get(file.ino);
    siblings?.delete(file);
    if (siblings && siblings.size > 0) return false;
    this.byIno.delete(file.ino);
    return true;
  }

  of(ino: Ino): Iterable<OpenFile> {
    return this.byIno.get(ino) ?? [];
  }

  all(): Iterable<OpenFile> {
    return this.byHandle.values();
  }

  /** The versions that handles show, some of them several times. */
  *versions(): Generator<ObjectId> {
    for (const { version } of this.byHandle.values()) if (version.manifestId !== '') yield version.manifestId;
  }

  /** A handle on the inode, if there is one: they all go the same way, through the kernel's page cache or to a local file. */
  any(ino: Ino): OpenFile | undefined {
    for (const file of this.of(ino)) return file;
    return undefined;
  }

  /** Whether the kernel syncs writes to the local file of an inode by itself. */
  isWrittenSynced(ino: Ino): boolean {
    for (const { backed, writable, synchronous } of this.of(ino)) if (backed && writable && synchronous) return true;
    return false;
  }

  isOpenForWriting(ino: Ino): boolean {
    for (const { writable } of this.of(ino)) if (writable) return true;
    return false;
  }

  isOpen(ino: Ino): boolean {
    return this.byIno.has(ino);
  }

  /** True when a handle on the inode shows another version than `manifestId`: the kernel's one page cache cannot serve both. */
  showsOther(ino: Ino, manifestId: string): boolean {
    for (const file of this.of(ino)) if (file.version.manifestId !== manifestId) return true;
    return false;
  }

  /**
   * The longest version that handles on the inode show, when one of them shows another than `manifestId`. The kernel has one size for
   * all of them: with a smaller one it would keep bytes back, from what it read of a version before.
   */
  longestBeside(ino: Ino, manifestId: string): OpenVersion | undefined {
    let longest: OpenVersion | undefined;
    let isOther = false;
    for (const { version } of this.of(ino)) {
      if (!longest || version.size > longest.size) longest = version;
      isOther ||= version.manifestId !== manifestId;
    }
    return isOther ? longest : undefined;
  }

  /** This site published a version of the inode: every handle on it shows that one now. */
  adopt(ino: Ino, version: OpenVersion): void {
    for (const file of this.of(ino)) {
      file.version = version;
      file.manifest = null;
    }
  }

  get count(): number {
    return this.byHandle.size;
  }
}

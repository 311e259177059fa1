// kernel-files.ts — open files as a kernel has them: where a site gives it a local file for an inode (FUSE passthrough), programs read and
// write that file, and the site hears nothing of it.
// What goes to the site all the same (Linux 6.9 and later, fs/fuse/passthrough.c, fs/backing-file.c): open, release, fsync, ftruncate and
// fallocate, and before a write whatever takes set-id bits away. Of O_SYNC the kernel sees to by itself.
// Invariant, which the kernel insists on by EIO (fs/fuse/iomode.c): all openers of an inode go to one local file, or all to the site.

import { closeSync, fdatasyncSync, fstatSync, openSync, readlinkSync, readSync, writeSync } from 'node:fs';
import { withErrno } from '../chunks/system-error.js';
import type { Ino, Name } from '../crdt/ids.js';
import { posixError } from '../errno.js';
import type { Attributes, Caller, Opened } from '../volume/file-system.js';
import type { Volume } from '../volume/volume.js';
import { fileTimeNs, setFileTime } from './file-times.js';
import type { Totals } from './totals.js';

/** Who programs are. */
export const USER: Caller = { uid: 1000, gid: 1000, pid: 1 };

const O_ACCMODE = 3;
const O_TRUNC = 0o1000;
const O_APPEND = 0o2000;
const O_DSYNC = 0o10000;
const SET_ID_BITS = 0o6000;

/** A local file that the kernel was given for an inode, by a descriptor of its own. */
interface LocalFile {
  readonly fd: number;
  /** Whose descriptor it was given by. */
  readonly givenFd: number;
  /** A mapping has written to it since it was last written back: its next writes leave the times alone. */
  isDirtyByMapping: boolean;
}

interface OpenFile {
  readonly ino: Ino;
  readonly flags: number;
  readonly local: LocalFile | null;
}

export class KernelFiles {
  private readonly byHandle = new Map<number, OpenFile>();

  constructor(
    private readonly volume: Volume,
    private readonly totals: Totals,
  ) {}

  open(ino: Ino, flags: number): number {
    return this.opened(ino, flags, this.volume.files.open(ino, flags, false, USER), 'opened');
  }

  create(parent: Ino, name: Name, mode: number, flags: number, umask: number): { ino: Ino; handle: number } {
    const made = this.volume.files.create(parent, name, mode, flags, umask, USER);
    return this.made(flags, made);
  }

  tmpfile(parent: Ino, mode: number, flags: number, umask: number): { ino: Ino; handle: number } {
    return this.made(flags, this.volume.files.tmpfile(parent, mode, flags, umask, USER));
  }

  private made(flags: number, { attributes, opened }: { attributes: Attributes; opened: Opened }) {
    return { ino: attributes.ino, handle: this.opened(attributes.ino, flags, opened, 'created') };
  }

  private opened(ino: Ino, flags: number, { handle, backing }: Opened, how: string): number {
    const other = this.openersOf(ino)[0];
    if (other && other.local?.givenFd !== backing)
      throw new Error(`inode ${ino} is open by ${other.local?.givenFd}, and was given ${backing}: EIO for the caller`);
    let local = other?.local ?? null;
    if (!local && backing !== undefined) {
      const path = readlinkSync(`/proc/self/fd/${backing}`);
      local = { fd: openSync(path, 'r+'), givenFd: backing, isDirtyByMapping: false };
    }
    if (local && flags & O_ACCMODE) this.totals.add(`local files that the kernel writes to: ${how}`);
    this.byHandle.set(handle, { ino, flags: flags & ~O_TRUNC, local });
    return handle;
  }

  private openersOf(ino: Ino): OpenFile[] {
    return [...this.byHandle.values()].filter((file) => file.ino === ino);
  }

  private file(handle: number): OpenFile {
    const file = this.byHandle.get(handle);
    if (!file) throw posixError('EBADF');
    return file;
  }

  isOpenPastSite(ino: Ino): boolean {
    return this.openersOf(ino).some(({ local }) => local !== null);
  }

  /** Whether its bytes go past the site. */
  isLocal(handle: number): boolean {
    return this.file(handle).local !== null;
  }

  /** Whether what was written by it is on stable storage when the write returns. */
  isSynced(handle: number): boolean {
    return (this.file(handle).flags & O_DSYNC) !== 0;
  }

  read(handle: number, length: number, into: Buffer): number {
    const { local } = this.file(handle);
    if (!local) return this.volume.files.read(handle, 0, length, into, 0);
    return withErrno(() => readSync(local.fd, into, 0, length, 0));
  }

  /** write(2). */
  write(handle: number, offset: number, data: Buffer): void {
    const { ino, flags, local } = this.file(handle);
    if ((flags & O_ACCMODE) === 0) throw posixError('EBADF');
    if (!local) {
      this.volume.files.write(handle, offset, data, true);
      return;
    }
    if (this.volume.files.getattr(ino).mode & SET_ID_BITS)
      this.volume.files.setattr(ino, { killSuidGid: true }, USER, undefined);
    this.totals.add('writes past the site');
    withErrno(() => {
      const at = flags & O_APPEND ? fstatSync(local.fd).size : offset;
      writeSync(local.fd, data, 0, data.length, at);
      if (flags & O_DSYNC) fdatasyncSync(local.fd);
    });
  }

  /** A store to mapped memory, which is as long as the file. Through a site's page cache it comes as a write. */
  store(handle: number, offset: number, data: Buffer): void {
    const { flags, local } = this.file(handle);
    if ((flags & O_ACCMODE) === 0) throw posixError('EACCES');
    if (!local) return this.write(handle, offset, data);
    this.totals.add('stores past the site');
    withErrno(() => {
      const before = fileTimeNs(local.fd);
      writeSync(local.fd, data, 0, data.length, offset);
      if (local.isDirtyByMapping) setFileTime(local.fd, before);
    });
    local.isDirtyByMapping = true;
  }

  truncate(handle: number, size: number): void {
    const { ino } = this.file(handle);
    this.volume.files.setattr(ino, { size }, USER, handle);
  }

  /** What was written by mappings is written back: the next store is told by the file's time. */
  fsync(handle: number): void {
    const { local } = this.file(handle);
    if (local) local.isDirtyByMapping = false;
    this.volume.files.fsync(handle);
  }

  release(handle: number): void {
    const { ino, local } = this.file(handle);
    this.byHandle.delete(handle);
    this.volume.files.release(handle);
    if (local && this.openersOf(ino).length === 0) closeSync(local.fd);
  }

  /** The mount is gone, and programs with it. */
  close(): void {
    for (const fd of new Set([...this.byHandle.values()].flatMap(({ local }) => (local ? [local.fd] : []))))
      closeSync(fd);
    this.byHandle.clear();
  }
}

// backing-files.ts — local files that the kernel reads, writes and maps by itself instead of asking us: FUSE passthrough, Linux 6.9.
// Invariant: an inode has one backing id from its first open with a backing to its last release, and no id outlives that.
// What the kernel insists on (fs/fuse/iomode.c): while an inode is open with a backing, an open without one, or with another id, is EIO
// for its caller, and so is an open with a backing while the inode is open without. The kernel lets go of a file before it sends
// RELEASE, so a filesystem that goes by the handles which it has not released yet gives answers that the kernel takes.
// A mapping holds the local file and not the FUSE file: RELEASE comes at close(2), while the memory may be read and written for long.
// So the last handle of an inode is not released before nothing maps its file. How that is known: system-calls.ts, isOnlyOpener.
// Nor does the kernel tell of what it reads there. It moves the local file's own atime where that is due by relatime, which it is once
// it was set to a time long ago. Who else reads a local file does so with O_NOATIME (chunks/local-file.ts).

import { fstatSync } from 'node:fs';
import type { Ino } from '../crdt/ids.js';
import type { Timestamp } from '../crdt/inode.js';
import { PosixError } from '../errno.js';
import { setAccessed } from '../file-calls.js';
import type { DriverLog } from './driver-log.js';
import { ioctl, isOnlyOpener, SystemCallError } from './system-calls.js';

/** _IOW(FUSE_DEV_IOC_MAGIC, 1, struct fuse_backing_map) and _IOW(FUSE_DEV_IOC_MAGIC, 2, uint32_t) of linux/fuse.h. */
const BACKING_OPEN = 0x4010_e501;
const BACKING_CLOSE = 0x4004_e502;

const O_WRONLY = 1;
const O_RDWR = 2;

/** When to look again whether a file is still mapped, ms: soon, because a closing file lingers for a moment, then ever later. */
const FIRST_CHECK_MS = 1;
const LONGEST_CHECK_MS = 1_000;

/** An atime that no read has left. */
const LONG_AGO_NS = 0n;
const NS_PER_S = 1_000_000_000n;

interface BackingFile {
  readonly id: number;
  readonly fd: number;
  /** Not released yet; one of them may be kept for the sake of a mapping. */
  readonly handles: Set<number>;
  /** Some handle was opened for reading, without which nothing can be mapped. */
  mappable: boolean;
  /** … and for writing as well. */
  mappableForWriting: boolean;
  /** The local file's own atime when it was last looked at, nanoseconds since 1970; undefined: not yet. */
  accessedNs: bigint | undefined;
}

export class BackingFiles {
  private readonly device: number;
  private readonly log: DriverLog;
  private readonly files = new Map<Ino, BackingFile>();
  /** Last handles of inodes that the kernel has released, and whose files are still mapped. */
  private readonly kept = new Map<Ino, number>();
  private checkIntervalMs = FIRST_CHECK_MS;
  private checkDueMs = Infinity;

  /** `device`: descriptor of /dev/fuse. */
  constructor(device: number, log: DriverLog) {
    this.device = device;
    this.log = log;
  }

  /** Whether files like this one can back inodes: the kernel takes it (CAP_SYS_ADMIN), and its filesystem has leases. */
  probe(fd: number): boolean {
    try {
      this.unregister(this.register(fd));
      isOnlyOpener(fd);
      return true;
    } catch (error) {
      if (!(error instanceof SystemCallError)) throw error;
      this.log.info({ err: error }, 'no FUSE passthrough here: file contents go through the daemon');
      return false;
    }
  }

  /** Notes an open with an access mode of O_ACCMODE; returns the backing id for its reply. Throws a SystemCallError when the kernel does not take the file. */
  add(ino: Ino, handle: number, fd: number, access: number): number {
    let file = this.files.get(ino);
    if (file === undefined) {
      const id = this.register(fd);
      file = { id, fd, handles: new Set(), mappable: false, mappableForWriting: false, accessedNs: undefined };
      this.files.set(ino, file);
    }
    if (file.fd !== fd) throw new Error(`inode ${ino} is open with backing ${file.fd}, and opened again with ${fd}`);
    file.handles.add(handle);
    file.mappable ||= access !== O_WRONLY;
    file.mappableForWriting ||= access === O_RDWR;
    return file.id;
  }

  /** The kernel let go of a handle. True: release it; false: its file is still mapped, and takeUnmapped will name it. */
  release(ino: Ino, handle: number): boolean {
    const file = this.files.get(ino);
    if (file === undefined || !file.handles.has(handle)) return true;
    if (file.handles.size === 1 && file.mappable && !isOnlyOpener(file.fd)) {
      this.kept.set(ino, handle);
      this.checkIntervalMs = FIRST_CHECK_MS;
      this.checkDueMs = performance.now() + FIRST_CHECK_MS;
      return false;
    }
    this.remove(ino, file, handle);
    return true;
  }

  /** Whether the inode's times may change without the kernel's attribute cache noticing: it sees write(2), but no write to mapped memory. */
  changesUnseen(ino: Ino): boolean {
    return this.files.get(ino)?.mappableForWriting === true;
  }

  /** Whether the kernel may read an inode's local file by itself. */
  isRead(ino: Ino): boolean {
    return this.files.get(ino)?.mappable === true;
  }

  /** When the kernel read the inode's local file by itself, if it did since {@link expectRead} was called and this was last asked. */
  takeRead(ino: Ino): Timestamp | undefined {
    const file = this.files.get(ino);
    if (file?.accessedNs === undefined) return undefined;
    const { atimeNs } = fstatSync(file.fd, { bigint: true });
    if (atimeNs === file.accessedNs) return undefined;
    file.accessedNs = atimeNs;
    return { s: Number(atimeNs / NS_PER_S), ns: Number(atimeNs % NS_PER_S) };
  }

  /** From now on {@link takeRead} tells. `isDue`: of the next read, whatever the local file's own times are. */
  expectRead(ino: Ino, isDue: boolean): void {
    const file = this.files.get(ino);
    if (!file?.mappable || file.accessedNs === LONG_AGO_NS) return;
    if (isDue && this.forgetReads(file.fd)) file.accessedNs = LONG_AGO_NS;
    else file.accessedNs ??= fstatSync(file.fd, { bigint: true }).atimeNs;
  }

  /** False when the local filesystem does not let us: it may be full, or read-only after an error. No read shall fail for its atime. */
  private forgetReads(fd: number): boolean {
    try {
      setAccessed(fd, LONG_AGO_NS);
      return true;
    } catch (error) {
      if (!(error instanceof PosixError)) throw error;
      this.log.debug({ err: error }, 'the atime of a local file could not be set');
      return false;
    }
  }

  /** When to call {@link takeUnmapped}, on the clock of performance.now(); Infinity: there is no need. */
  get nextCheckMs(): number {
    return this.checkDueMs;
  }

  /** Handles to be released now, because nothing maps their files any more. */
  takeUnmapped(): number[] {
    const ended: number[] = [];
    for (const [ino, handle] of this.kept) {
      const file = this.files.get(ino)!;
      // Opened again: that handle is the last now, or will leave this one to be looked at.
      if (file.handles.size > 1 || !isOnlyOpener(file.fd)) continue;
      this.kept.delete(ino);
      this.remove(ino, file, handle);
      ended.push(handle);
    }
    this.checkIntervalMs = Math.min(2 * this.checkIntervalMs, LONGEST_CHECK_MS);
    this.checkDueMs = this.kept.size === 0 ? Infinity : performance.now() + this.checkIntervalMs;
    return ended;
  }

  private remove(ino: Ino, file: BackingFile, handle: number): void {
    file.handles.delete(handle);
    if (file.handles.size > 0) return;
    this.files.delete(ino);
    this.unregister(file.id);
  }

  /** struct fuse_backing_map in, the id out. */
  private register(fd: number): number {
    const map = Buffer.alloc(16);
    map.writeInt32LE(fd, 0);
    return ioctl(this.device, BACKING_OPEN, map);
  }

  private unregister(id: number): void {
    const argument = Buffer.alloc(4);
    argument.writeUInt32LE(id, 0);
    ioctl(this.device, BACKING_CLOSE, argument);
  }
}

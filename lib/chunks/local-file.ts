// local-file.ts — a sparse file in the state directory, with the operations that POSIX asks of one, on every local filesystem.
// Invariant: `length` is the file's length. An operation that fails leaves it as it was. Errors are PosixErrors.
// How long a file can be is what the local filesystem says (ext4: 16 TiB), up to MAX_FILE_BYTES.

import {
  closeSync,
  constants,
  fdatasyncSync,
  fstatSync,
  ftruncateSync,
  openSync,
  readSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { CorruptionError } from '../codec/bytes.js';
import { PosixError, posixError } from '../errno.js';
import { LastingSync, syncPath } from '../file-sync.js';
import { maxLocalFiles } from './descriptor-limit.js';
import { sizeAfter } from './fallocate-rules.js';
import { MAX_FILE_BYTES } from './manifest.js';
import { fallocate, seekData, seekHole } from '../file-calls.js';
import { withErrno } from './system-error.js';
import {
  FALLOC_COLLAPSE_RANGE,
  FALLOC_INSERT_RANGE,
  FALLOC_KEEP_SIZE,
  FALLOC_PUNCH_HOLE,
  FALLOC_ZERO_RANGE,
} from './writable-content.js';

/** Every local filesystem has files as long as this: ext4 with blocks of 4 KiB. Bytes. */
const SURE_BYTES = 2 ** 44 - 4096;

const PUNCH = FALLOC_PUNCH_HOLE | FALLOC_KEEP_SIZE;
const COPY_BYTES = 1 << 20;

/** Its atime is left to those who read it for others (fuse/backing-files.ts). open(2) allows that to its owner, who has made it. */
const OPENED = constants.O_RDWR | constants.O_NOATIME;
const MADE = OPENED | constants.O_CREAT | constants.O_EXCL;

/** Tells whether a file was written to by others. */
export interface FileStamp {
  /** Bytes. */
  readonly size: number;
  /** Nanoseconds since 1970. */
  readonly mtimeNs: bigint;
}

export class LocalFile {
  readonly path: string;
  readonly fd: number;
  private bytes: number;
  /** Others write to it too: its length is what the system says. */
  private shared = false;
  private cut = false;
  private directoryUnsynced = true;
  private readonly lastingSync: LastingSync;

  /** Of this thread: one has nearly all of them. */
  private static openCount = 0;
  private static maxOpen: number | undefined;

  private constructor(path: string, fd: number) {
    this.path = path;
    this.fd = fd;
    this.lastingSync = new LastingSync(dirname(dirname(path)));
    this.bytes = this.measure();
    LocalFile.openCount++;
  }

  /** A new file of `length` bytes of hole, at a path where nothing is. EFBIG, ENOSPC; ENFILE when too many are open. */
  static create(path: string, length: number): LocalFile {
    LocalFile.maxOpen ??= maxLocalFiles();
    if (LocalFile.openCount >= LocalFile.maxOpen) throw posixError('ENFILE');
    return withErrno(() => {
      const file = new LocalFile(path, openSync(path, MADE, 0o600));
      try {
        if (length > 0) file.truncate(length);
      } catch (error) {
        file.remove();
        throw error;
      }
      return file;
    });
  }

  /** A file that {@link create} made before this process started. CorruptionError when it is gone. */
  static open(path: string): LocalFile {
    try {
      return withErrno(() => new LocalFile(path, openSync(path, OPENED)));
    } catch (error) {
      if (error instanceof PosixError && error.code === 'ENOENT') {
        throw new CorruptionError(`working copy ${path} is gone`);
      }
      throw error;
    }
  }

  get length(): number {
    if (this.shared) this.bytes = this.measure();
    return this.bytes;
  }

  /**
   * Bytes. The kernel, which writes by itself, can make a file longer than any offset here (XFS, btrfs and tmpfs have files of 8 EiB − 1).
   * What lies beyond is cut off; {@link takeCut} says so.
   */
  private measure(): number {
    const { size } = fstatSync(this.fd);
    if (size <= MAX_FILE_BYTES) return size;
    ftruncateSync(this.fd, MAX_FILE_BYTES);
    this.cut = true;
    return MAX_FILE_BYTES;
  }

  /** Whether bytes of others were cut off, since this was last asked. */
  takeCut(): boolean {
    const { cut } = this;
    this.cut = false;
    return cut;
  }

  /** From now on the kernel, too, writes to it. */
  share(): void {
    this.shared = true;
  }

  /** Size and time of the last change, nanoseconds since 1970. */
  stamp(): FileStamp {
    const { size, mtimeNs } = fstatSync(this.fd, { bigint: true });
    if (size > MAX_FILE_BYTES) return { size: this.measure(), mtimeNs };
    return { size: Number(size), mtimeNs };
  }

  /** Fills `into` from `at` with [from, to). What lies past the end (another thread may have truncated) reads as zeros. */
  read(from: number, to: number, into: Buffer, at: number): void {
    withErrno(() => {
      const end = at + to - from;
      while (at < end) {
        const count = readSync(this.fd, into, at, end - at, from);
        if (count === 0) into.fill(0, at, end);
        from += count;
        at += count === 0 ? end - at : count;
      }
    });
  }

  write(offset: number, data: Uint8Array): void {
    const end = offset + data.length;
    if (end > MAX_FILE_BYTES) throw posixError('EFBIG');
    this.restoringLength(() => {
      // Else it would take what fits, and then say EFBIG.
      if (end > SURE_BYTES && end > this.bytes) ftruncateSync(this.fd, end);
      for (let done = 0; done < data.length;) done += writeSync(this.fd, data, done, data.length - done, offset + done);
    });
    if (end > this.bytes) this.bytes = end;
  }

  truncate(length: number): void {
    if (length > MAX_FILE_BYTES) throw posixError('EFBIG');
    withErrno(() => ftruncateSync(this.fd, length));
    this.bytes = length;
  }

  /**
   * Truncates to nothing, for other content. ext4 takes what is written after that for a file being replaced, and would have it on the
   * disk at the next close of any descriptor for writing (ext4(5), auto_da_alloc): so there is one at once, while nothing is written yet.
   */
  empty(): void {
    this.truncate(0);
    withErrno(() => closeSync(openSync(this.path, 'r+')));
  }

  /** fallocate(2), whose arguments were checked. Modes that the local filesystem lacks (tmpfs knows two) are put together from others. */
  fallocate(mode: number, offset: number, length: number): void {
    this.restoringLength(() => {
      try {
        fallocate(this.fd, mode, offset, length);
      } catch (error) {
        if (!(error instanceof PosixError && error.code === 'EOPNOTSUPP')) throw error;
        this.fallocateByHand(mode, offset, length);
      }
    });
    this.bytes = sizeAfter(mode, offset, length, this.bytes);
  }

  private fallocateByHand(mode: number, offset: number, length: number): void {
    switch (mode) {
      case FALLOC_ZERO_RANGE:
      case FALLOC_ZERO_RANGE | FALLOC_KEEP_SIZE:
        fallocate(this.fd, PUNCH, offset, length);
        fallocate(this.fd, mode & FALLOC_KEEP_SIZE, offset, length);
        break;
      case FALLOC_COLLAPSE_RANGE:
        for (let from = offset + length; from < this.bytes; from += COPY_BYTES) {
          this.copy(from, from - length, Math.min(COPY_BYTES, this.bytes - from));
        }
        ftruncateSync(this.fd, this.bytes - length);
        break;
      case FALLOC_INSERT_RANGE:
        ftruncateSync(this.fd, this.bytes + length);
        for (let to = this.bytes; to > offset; to -= COPY_BYTES) {
          const from = Math.max(offset, to - COPY_BYTES);
          this.copy(from, from + length, to - from);
        }
        fallocate(this.fd, PUNCH, offset, length);
        break;
      default:
        throw posixError('EOPNOTSUPP');
    }
  }

  private copy(from: number, to: number, length: number): void {
    const buffer = Buffer.allocUnsafe(length);
    this.read(from, from + length, buffer, 0);
    for (let done = 0; done < length;) done += writeSync(this.fd, buffer, done, length - done, to + done);
  }

  /** Runs an operation that may lengthen the file; when it fails, what it added at the end goes again. */
  private restoringLength(operation: () => void): void {
    try {
      withErrno(operation);
    } catch (error) {
      withErrno(() => {
        if (fstatSync(this.fd).size > this.bytes) ftruncateSync(this.fd, this.bytes);
      });
      throw error;
    }
  }

  /** The first byte at or after `offset` in a part that has data; -1 when there is none. */
  nextData(offset: number): number {
    return seekData(this.fd, offset);
  }

  /** The first byte at or after `offset` in a hole, the end counting as one; -1 at or past the end. */
  nextHole(offset: number): number {
    return seekHole(this.fd, offset);
  }

  /** st_blocks: units of 512 bytes. */
  blocks(): number {
    return withErrno(() => fstatSync(this.fd).blocks);
  }

  /** fdatasync, and the first time fsync of the directory too. Fails for good once it failed. */
  sync(): void {
    this.lastingSync.run(() =>
      withErrno(() => {
        fdatasyncSync(this.fd);
        if (!this.directoryUnsynced) return;
        syncPath(dirname(this.path));
        this.directoryUnsynced = false;
      }),
    );
  }

  /** Whether a {@link sync} failed: what of its bytes is on the disk is not known, nor will be. */
  get hasFailed(): boolean {
    return this.lastingSync.hasFailed;
  }

  close(): void {
    LocalFile.openCount--;
    closeSync(this.fd);
  }

  /** Closes and unlinks. */
  remove(): void {
    this.close();
    withErrno(() => unlinkSync(this.path));
  }
}

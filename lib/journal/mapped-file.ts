// mapped-file.ts — a preallocated file that this thread writes as memory.
// Invariant: every byte of the mapping has disk blocks behind it before it is written, so a full disk is an error of whoever makes
// the file and never a SIGBUS. What was stored survives the death of the process (it is in the page cache) and, after sync(), power loss.
// (A copy-on-write filesystem cannot promise that for bytes written twice: on btrfs give the directory `chattr +C`.)
// mmap(2) and posix_fallocate(3) come from the C library through koffi; Node has neither.

import { closeSync, fdatasyncSync, fstatSync, openSync, unlinkSync } from 'node:fs';
import koffi from 'koffi';
import { codeOf, posixError } from '../errno.js';

const PROT_READ_WRITE = 0x3;
const MAP_SHARED = 0x1;
const MAP_FAILED = 0xffff_ffff_ffff_ffffn;

const libc = koffi.load(null);
const mmap = libc.func('void *mmap(void *addr, size_t length, int prot, int flags, int fd, int64_t offset)');
const munmap = libc.func('int munmap(void *addr, size_t length)');
/** Returns the error number instead of setting errno; emulates fallocate(2) where the filesystem lacks it. */
const posixFallocate = libc.func('int posix_fallocate(int fd, int64_t offset, int64_t length)') as (
  fd: number,
  offset: number,
  length: number,
) => number;

function failure(errno: number): Error {
  return posixError(codeOf(errno));
}

function createFile(path: string): number {
  try {
    return openSync(path, 'wx+', 0o600);
  } catch (error) {
    const { errno } = error as NodeJS.ErrnoException;
    throw failure(-errno!);
  }
}

export class MappedFile {
  /** The file's bytes. Never keep a view on it past {@link close}: the memory is gone then. */
  buffer: Buffer;

  private constructor(
    private readonly fd: number,
    private readonly address: unknown,
    readonly sizeBytes: number,
  ) {
    this.buffer = Buffer.from(koffi.view(address, sizeBytes));
  }

  /**
   * Creates `path` with `sizeBytes` zero bytes, all allocated, and maps it.
   * @throws PosixError ENOSPC or EDQUOT when the disk cannot hold it; the file is gone again then.
   */
  static create(path: string, sizeBytes: number): MappedFile {
    const fd = createFile(path);
    try {
      const error = posixFallocate(fd, 0, sizeBytes);
      if (error !== 0) throw failure(error);
      return MappedFile.map(fd, sizeBytes);
    } catch (error) {
      closeSync(fd);
      unlinkSync(path);
      throw error;
    }
  }

  /** Maps a file all of whose bytes are allocated. */
  static open(path: string): MappedFile {
    const fd = openSync(path, 'r+');
    try {
      return MappedFile.map(fd, fstatSync(fd).size);
    } catch (error) {
      closeSync(fd);
      throw error;
    }
  }

  private static map(fd: number, sizeBytes: number): MappedFile {
    const address: unknown = mmap(null, sizeBytes, PROT_READ_WRITE, MAP_SHARED, fd, 0);
    if (koffi.address(address) === MAP_FAILED) throw failure(koffi.errno());
    return new MappedFile(fd, address, sizeBytes);
  }

  /** fdatasync(2): Linux counts pages dirtied through the mapping among the file's. */
  sync(): void {
    fdatasyncSync(this.fd);
  }

  close(): void {
    this.buffer = Buffer.alloc(0);
    munmap(this.address, this.sizeBytes);
    closeSync(this.fd);
  }
}

// init.ts — the INIT handshake: which protocol version and features the kernel and this driver agree on.
// Invariant: a feature is only asked for when the kernel offers it. Pure. Protocol 7.31 (Linux 5.4) is the oldest that is served;
// feature bits 32 … 63 travel in a second word. Source: include/uapi/linux/fuse.h, fs/fuse/inode.c process_init_reply.

import type { ByteReader } from '../codec/bytes.js';
import { put64 } from './replies.js';

export const PROTOCOL_MAJOR = 7;
const PROTOCOL_MINOR = 45;
const OLDEST_MINOR = 31;

/** Largest WRITE and READ, bytes; 256 pages. */
export const MAX_TRANSFER_BYTES = 1 << 20;
const MAX_PAGES = 256;
/** Readahead and asynchronous requests that the kernel may have under way. */
const MAX_BACKGROUND = 64;
const CONGESTION_THRESHOLD = 48;

const EXTENDED_SETXATTR = 1 << 29;
const NO_OPENDIR_SUPPORT = 1 << 24;
const INIT_EXT = 1 << 30;

/** Bits 0 … 31. Not asked for, on purpose: POSIX_LOCKS and FLOCK_LOCKS (locks stay in the kernel, local to the site), WRITEBACK_CACHE
 * (an acknowledged write must have reached the driver), AUTO_INVAL_DATA (EXPLICIT_INVAL_DATA instead). */
const WANTED_LOW =
  (1 << 0) | // ASYNC_READ
  (1 << 3) | // ATOMIC_O_TRUNC
  (1 << 4) | // EXPORT_SUPPORT
  (1 << 5) | // BIG_WRITES
  (1 << 6) | // DONT_MASK: default ACLs replace the umask
  (1 << 13) | // DO_READDIRPLUS
  (1 << 14) | // READDIRPLUS_AUTO
  (1 << 18) | // PARALLEL_DIROPS
  (1 << 20) | // POSIX_ACL
  (1 << 22) | // MAX_PAGES
  (1 << 23) | // CACHE_SYMLINKS: targets never change
  NO_OPENDIR_SUPPORT |
  (1 << 25) | // EXPLICIT_INVAL_DATA
  (1 << 28) | // HANDLE_KILLPRIV_V2
  EXTENDED_SETXATTR |
  INIT_EXT;

const PASSTHROUGH = 1 << (37 - 32);

/** Bits 32 … 63. The kernel refuses PASSTHROUGH together with WRITEBACK_CACHE. */
const WANTED_HIGH =
  (1 << (36 - 32)) | // DIRECT_IO_ALLOW_MMAP
  PASSTHROUGH;

/** How deep filesystems may be stacked up to and including this one: backing files lie on one that is not stacked itself. */
const MAX_STACK_DEPTH = 1;

/** struct fuse_init_in. */
export interface InitRequest {
  readonly major: number;
  readonly minor: number;
  readonly maxReadahead: number;
  /** Bits 0 … 31 and 32 … 63 of what the kernel offers. */
  readonly low: number;
  readonly high: number;
}

export function decodeInit(body: ByteReader): InitRequest {
  const major = body.u32('init major');
  const minor = body.u32('init minor');
  const maxReadahead = body.u32('init max_readahead');
  const low = body.u32('init flags');
  const high = (low & INIT_EXT) === 0 ? 0 : body.u32('init flags2');
  return { major, minor, maxReadahead, low, high };
}

/** What both sides agreed on, as far as later requests depend on it. */
export interface Agreement {
  readonly minor: number;
  /** SETXATTR carries the 16-byte struct. */
  readonly extendedSetxattr: boolean;
  /** OPENDIR may be answered ENOSYS once and for all. */
  readonly noOpendir: boolean;
  /** Files may be given a backing (backing-files.ts), if the process has the right to. */
  readonly passthrough: boolean;
  /** Bits 0 … 31 and 32 … 63 of the features in force. */
  readonly low: number;
  readonly high: number;
}

/** The features that both sides have, or an Error that names the remedy when the kernel is too old. */
export function agree(init: InitRequest): Agreement {
  if (init.major !== PROTOCOL_MAJOR || init.minor < OLDEST_MINOR) {
    throw new Error(
      `this kernel speaks FUSE ${init.major}.${init.minor}, at least ${PROTOCOL_MAJOR}.${OLDEST_MINOR} is needed: use Linux 5.4 or newer, or --driver fuse-native`,
    );
  }
  const low = (init.low & WANTED_LOW) >>> 0;
  const high = (low & INIT_EXT) === 0 ? 0 : (init.high & WANTED_HIGH) >>> 0;
  return {
    minor: Math.min(init.minor, PROTOCOL_MINOR),
    extendedSetxattr: (low & EXTENDED_SETXATTR) !== 0,
    noOpendir: (low & NO_OPENDIR_SUPPORT) !== 0,
    passthrough: (high & PASSTHROUGH) !== 0,
    low,
    high,
  };
}

const INIT_OUT_LENGTH = 64;

/** struct fuse_init_out. */
export function putInit(buffer: Buffer, init: InitRequest, agreement: Agreement, at: number): number {
  buffer.fill(0, at, at + INIT_OUT_LENGTH);
  buffer.writeUInt32LE(PROTOCOL_MAJOR, at);
  buffer.writeUInt32LE(agreement.minor, at + 4);
  buffer.writeUInt32LE(init.maxReadahead, at + 8);
  buffer.writeUInt32LE(agreement.low, at + 12);
  buffer.writeUInt16LE(MAX_BACKGROUND, at + 16);
  buffer.writeUInt16LE(CONGESTION_THRESHOLD, at + 18);
  buffer.writeUInt32LE(MAX_TRANSFER_BYTES, at + 20);
  buffer.writeUInt32LE(1, at + 24); // time_gran: nanoseconds
  buffer.writeUInt16LE(MAX_PAGES, at + 28);
  buffer.writeUInt32LE(agreement.high, at + 32);
  if (agreement.passthrough) buffer.writeUInt32LE(MAX_STACK_DEPTH, at + 36);
  return at + INIT_OUT_LENGTH;
}

/** The reply to a kernel of a later major version: only our version counts, and the kernel sends INIT again in it. */
export function putVersion(buffer: Buffer, at: number): number {
  buffer.writeUInt32LE(PROTOCOL_MAJOR, at);
  buffer.writeUInt32LE(PROTOCOL_MINOR, at + 4);
  return put64(buffer, 0, at + 8);
}

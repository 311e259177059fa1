// call.ts — what every handler gets: one request, the filesystem, and the reply buffer.
// A handler decodes the request's body, makes one call of the filesystem, writes its answer into `reply` from REPLY_HEADER_LENGTH on,
// and returns the offset behind it. It throws what the filesystem throws: dispatcher.ts is where errors become errno.

import { posixError } from '../errno.js';
import type { Attributes, Caller, FileSystem, Ino } from '../volume/file-system.js';
import type { KernelCache } from '../volume/ports.js';
import type { BackingFiles } from './backing-files.js';
import type { AtimePolicy } from './atime-policy.js';
import type { Agreement } from './init.js';
import { CACHE_SECONDS, REPLY_HEADER_LENGTH } from './replies.js';
import type { Request } from './requests.js';

export interface Call {
  readonly request: Request;
  readonly reply: Buffer;
  readonly fileSystem: FileSystem;
  readonly agreement: Agreement;
  readonly cache: KernelCache;
  readonly backings: BackingFiles;
  readonly atime: AtimePolicy;
  /** Whether requests on a node wait for objects: reads among them hold locks on their pages. */
  readonly isAwaited: (ino: Ino) => boolean;
}

/** Returns the length of the reply with its header, or {@link NO_REPLY}. */
export type Handler = (call: Call) => number;

/** The kernel waits for no answer. */
export const NO_REPLY = 0;
/** Success and nothing to say. */
export const EMPTY = REPLY_HEADER_LENGTH;

/** Files end at 2^53 - 1 bytes here, although the kernel allows 2^63 - 1. */
export const MAX_FILE_BYTES = Number.MAX_SAFE_INTEGER;
const MAX_NAME_BYTES = 255;

export function callerOf(request: Request): Caller {
  return { uid: request.uid, gid: request.gid, pid: request.pid };
}

/** How long the kernel may believe attributes that we tell it now, seconds. */
export function attributeSeconds({ backings }: Call, { ino, seconds }: Attributes): number {
  return backings.changesUnseen(ino) ? 0 : (seconds ?? CACHE_SECONDS);
}

/** The kernel passes names of up to 4095 bytes on. */
export function checkName(name: string): string {
  if (name.length > MAX_NAME_BYTES) throw posixError('ENAMETOOLONG');
  return name;
}

/** A range that would grow a file past the largest size is EFBIG. */
export function checkRange(offset: number, length: number): void {
  if (offset + length > MAX_FILE_BYTES) throw posixError('EFBIG');
}

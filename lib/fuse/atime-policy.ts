// atime-policy.ts — whether reading moves atime, by mount option (mount(8)) and by how the file was opened (O_NOATIME).
// The kernel leaves atime to a FUSE server, and does not tell it of reads that its page cache answers: those move nothing. So what is
// opened to be read begins without that cache where a read is to move atime, which under relatime is once after each change. Of what it
// reads from a local file by itself, that file's own atime tells (backing-files.ts).

import type { Ino } from '../crdt/ids.js';
import type { Call } from './call.js';
import type { MountOptions } from './mount-options.js';

export interface AtimePolicy {
  readonly files: boolean;
  readonly directories: boolean;
  /** strictatime: every reading moves it. */
  readonly always: boolean;
}

export const RELATIME: AtimePolicy = { files: true, directories: true, always: false };

const MS_NOATIME = 1024;
const MS_NODIRATIME = 2048;
const MS_STRICTATIME = 1 << 24;

export function atimePolicy({ flags }: Pick<MountOptions, 'flags'>): AtimePolicy {
  const files = (flags & MS_NOATIME) === 0;
  return { files, directories: files && (flags & MS_NODIRATIME) === 0, always: (flags & MS_STRICTATIME) !== 0 };
}

const O_NOATIME = 0o1000000;
const O_ACCMODE = 3;
const O_WRONLY = 1;

/** Whether the first read of a file that is opened with these flags is to move its atime. */
export function readWillMove({ request, fileSystem, atime }: Call, flags: number): boolean {
  if (!atime.files || (flags & O_NOATIME) !== 0 || (flags & O_ACCMODE) === O_WRONLY) return false;
  return fileSystem.readMoves(request.node, atime.always);
}

/** A file's content or a symbolic link's target was read; `flags` as it was opened. */
export function fileRead({ request, fileSystem, atime }: Call, flags: number): void {
  if (atime.files && (flags & O_NOATIME) === 0) fileSystem.accessed(request.node, atime.always);
}

/** A directory was listed. */
export function directoryRead({ request, fileSystem, atime }: Call, flags: number): void {
  if (atime.directories && (flags & O_NOATIME) === 0) fileSystem.accessed(request.node, atime.always);
}

/**
 * The filesystem copied bytes from the file, by its handle, to another one, which is reading it. The kernel asks for atime again after
 * the reads that it makes, not after this: it is told.
 */
export function fileCopied({ request, fileSystem, cache, atime }: Call, handle: number): void {
  if (!atime.files || fileSystem.leavesAtime(handle) || !fileSystem.readMoves(request.node, atime.always)) return;
  fileSystem.accessed(request.node, atime.always);
  cache.invalidateInode(request.node, false);
}

/** Before anybody is told of an inode's atime, or sets it, or lets go of the file: what the kernel read by itself has moved it. */
export function noteBackedReads(call: Call): void {
  const { request, fileSystem, backings, atime } = call;
  if (!atime.files || !backings.isRead(request.node)) return;
  const readAt = backings.takeRead(request.node);
  if (readAt) fileSystem.accessed(request.node, atime.always, readAt);
  expectBackedReads(call, request.node);
}

/** After an inode was opened, or changed: whether the next read moves its atime. */
export function expectBackedReads({ fileSystem, backings, atime }: Call, ino: Ino): void {
  if (atime.files && backings.isRead(ino)) backings.expectRead(ino, fileSystem.readMoves(ino, atime.always));
}

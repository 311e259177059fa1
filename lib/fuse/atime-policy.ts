// atime-policy.ts — whether reading moves atime, by mount option (mount(8)) and by how the file was opened (O_NOATIME).
// The kernel leaves atime to a FUSE server, and does not tell it of reads that its page cache answers: those move nothing. So what is
// opened to be read begins without that cache where a read is to move atime, which under relatime is once after each change.

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

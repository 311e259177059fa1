// atime-policy.ts — whether reading moves atime, by mount option (mount(8)) and by how the file was opened (O_NOATIME).
// The kernel leaves atime to a FUSE server, and does not tell it of reads that its page cache answers: those move nothing.

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

/** A file's content or a symbolic link's target was read; `flags` as it was opened. */
export function fileRead({ request, fileSystem, atime }: Call, flags: number): void {
  if (atime.files && (flags & O_NOATIME) === 0) fileSystem.accessed(request.node, atime.always);
}

/** A directory was listed. */
export function directoryRead({ request, fileSystem, atime }: Call, flags: number): void {
  if (atime.directories && (flags & O_NOATIME) === 0) fileSystem.accessed(request.node, atime.always);
}

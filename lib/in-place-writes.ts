// in-place-writes.ts — directories whose files are written over where they lie. For all layers that touch the disk; none of the pure files.
// Why: btrfs writes elsewhere what is written over, so that takes room, and what was allocated before helps nobody on a full disk: SQLite
// could not commit, and a store to a mapped page of the log of operations would be a SIGBUS. What its sums are for, ours are for, too.

import { closeSync, openSync, statfsSync } from 'node:fs';
import { PosixError } from './errno.js';
import { addInodeFlags } from './file-calls.js';

/** statfs(2). */
const BTRFS_SUPER_MAGIC = 0x9123683e;
/** ioctl_iflags(2), chattr(1) +C. */
const FS_NOCOW_FL = 0x00800000;

/**
 * Of the files and directories that are to be made in `directory`; nothing changes for those that are there. One that btrfs is to compress
 * stays as it is, for it cannot be both: a full disk is as above there.
 */
export function writeInPlace(directory: string): void {
  if (statfsSync(directory).type !== BTRFS_SUPER_MAGIC) return;
  const fd = openSync(directory, 'r');
  try {
    addInodeFlags(fd, FS_NOCOW_FL);
  } catch (error) {
    if (!(error instanceof PosixError)) throw error;
  } finally {
    closeSync(fd);
  }
}

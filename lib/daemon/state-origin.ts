// state-origin.ts — tells a state directory from a copy of it, such as one put back from a backup.
// `origin.json` holds its own inode number and time of birth, and is written anew at every start: no copy of it matches itself, nor
// does one that was copied over it. A site that was put back has forgotten which inode numbers it gave out since, while other
// sites know the files that have them. Not seen are snapshots that bring back whole disks.

import {
  closeSync,
  fstatSync,
  fsyncSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { syncPath } from '../file-sync.js';

/** No file has the number 0. */
const RESTORED = originText({ ino: 0n, birthtimeNs: 0n });

/** Whether the directory is a copy of the one that the site ran in last. False where that cannot be known. */
export function isCopy(directory: string): boolean {
  const path = originPath(directory);
  let recorded;
  try {
    recorded = readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw error;
  }
  if (recorded === RESTORED) return true;
  const own = statSync(path, { bigint: true });
  // Filesystems that keep no time of birth are often not local, and may number files anew at every mount.
  return own.birthtimeNs !== 0n && recorded !== originText(own);
}

/** Makes the directory the one that the site runs in. Durable when it returns. Needs the state lock. */
export function recordOrigin(directory: string): void {
  const path = originPath(directory);
  const temporary = `${path}.tmp`;
  rmSync(temporary, { force: true });
  const fd = openSync(temporary, 'wx', 0o600);
  try {
    writeFileSync(fd, originText(fstatSync(fd, { bigint: true })));
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
  renameSync(temporary, path);
  syncPath(directory);
}

/** The directory was made of a backup: whatever the filesystem says of its files, the site did not run in it last. */
export function markRestored(directory: string): void {
  writeFileSync(originPath(directory), RESTORED, { mode: 0o600, flush: true });
}

function originPath(directory: string): string {
  return join(directory, 'origin.json');
}

function originText({ ino, birthtimeNs }: { ino: bigint; birthtimeNs: bigint }): string {
  return `${JSON.stringify({ inode: ino.toString(), birthNs: birthtimeNs.toString() })}\n`;
}

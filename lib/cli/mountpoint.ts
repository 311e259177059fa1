// mountpoint.ts — whether a volume can be mounted at a directory, found out before a daemon is started.
// Mounting itself may still fail (it decides again, in lib/fuse); this is for the mistakes that people make.

import { readdirSync, statSync } from 'node:fs';
import { sep } from 'node:path';
import { realPath } from '../daemon/state-registry.js';
import { isDeadMount, mountedAt } from '../fuse/mount-table.js';
import { Failure, shellWord } from './failure.js';

/** The real path of a directory that can be mounted on. A dead mount of an earlier daemon may lie there. */
export function usableMountpoint(path: string, directory: string, allowNonEmpty: boolean): string {
  const mountpoint = realPath(path);
  const word = shellWord(mountpoint);
  if (isWithin(mountpoint, directory) || isWithin(directory, mountpoint)) {
    throw new Failure(`${path} and the state directory ${directory} lie in each other: choose another --state`);
  }
  if (isDeadMount(mountpoint)) return mountpoint;
  const mounted = mountedAt(mountpoint);
  if (mounted) {
    throw new Failure(
      `${mountpoint} is busy: ${mounted.source} (${mounted.type}) is mounted there; choose another directory or unmount it`,
    );
  }
  let names;
  try {
    if (!statSync(mountpoint).isDirectory())
      throw new Failure(`${mountpoint} is no directory: choose another mountpoint`);
    names = readdirSync(mountpoint);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') throw new Failure(`${mountpoint} does not exist: mkdir -p ${word}`);
    if (code === 'ENOTDIR') throw new Failure(`${mountpoint} is below a file: choose another mountpoint`);
    if (code === 'EACCES') throw new Failure(`${mountpoint} may not be read by you: choose a directory of your own`);
    throw error;
  }
  if (names.length > 0 && !allowNonEmpty) {
    throw new Failure(
      `${mountpoint} is not empty and the mount would hide what is in it: choose an empty directory, or add -o nonempty`,
    );
  }
  return mountpoint;
}

function isWithin(path: string, directory: string): boolean {
  return path === directory || path.startsWith(directory.endsWith(sep) ? directory : directory + sep);
}

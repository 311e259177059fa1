// dead-mount.ts — FUSE mounts whose daemon was killed: they stay in the mount table and answer ENOTCONN to everything
// until they are detached. Finding and detaching them is for whoever knows that no daemon is left (see state-lock.ts).

import { spawnSync } from 'node:child_process';
import { statSync } from 'node:fs';
import { mountAt, type MountEntry } from '../fuse/mount-table.js';
import { messageOf, shellWord } from './failure.js';

/** What is mounted at exactly this real absolute path. Nothing is known where there is no /proc (macOS). */
export function mountedAt(path: string): MountEntry | undefined {
  return process.platform === 'linux' ? mountAt(path) : undefined;
}

/** Whether a dead FUSE mount lies at `mountpoint`. Asks the mount itself, and so waits for a daemon that is alive. */
export function isDeadMount(mountpoint: string): boolean {
  if (!mountedAt(mountpoint)?.type.startsWith('fuse')) return false;
  try {
    statSync(mountpoint);
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOTCONN';
  }
}

/** Detaches a dead mount. Throws an Error that says what to type instead when that is not allowed. */
export function detachMount(mountpoint: string): void {
  const [command, ...args] =
    process.getuid?.() === 0 ? ['umount', '-l', mountpoint] : ['fusermount3', '-u', '-z', mountpoint];
  const result = spawnSync(command!, args, { encoding: 'utf8' });
  if (result.error === undefined && result.status === 0) return;
  const reason = result.error ? messageOf(result.error) : result.stderr.trim();
  throw new Error(
    `the dead mount at ${mountpoint} could not be removed (${reason}): sudo umount -l ${shellWord(mountpoint)}`,
  );
}

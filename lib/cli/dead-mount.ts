// dead-mount.ts — FUSE mounts whose daemon was killed: they stay in the mount table and answer ENOTCONN to everything
// until they are detached. Finding and detaching them is for whoever knows that no daemon is left (see state-lock.ts).

import { spawnSync } from 'node:child_process';
import { statSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import type { StateDirectory } from '../daemon/state-directory.js';
import { StateLock } from '../daemon/state-lock.js';
import { mountAt, type MountEntry } from '../fuse/mount-table.js';
import { Failure, messageOf, shellWord } from './failure.js';

const RELEASE_TIMEOUT_MS = 5000;
const POLL_MS = 10;

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

/** Whether the site's daemon ended without unmounting. Unlike the mount alone, a killed daemon that cannot end is asked nothing. */
export function isAbandoned(state: StateDirectory): boolean {
  const { mountpoint } = state.config();
  return StateLock.isHolderDead(state.directory) ? mountedAt(mountpoint) !== undefined : isDeadMount(mountpoint);
}

/** Detaches the mount of a daemon that was killed and cannot end, which ends it. @returns false when it is no such daemon */
export async function releaseDeadHolder(state: StateDirectory): Promise<boolean> {
  const { mountpoint } = state.config();
  if (!StateLock.isHolderDead(state.directory) || !mountedAt(mountpoint)?.type.startsWith('fuse')) return false;
  detachMount(mountpoint);
  const deadlineMs = performance.now() + RELEASE_TIMEOUT_MS;
  while (await StateLock.isHeld(state.directory)) {
    if (performance.now() > deadlineMs) {
      const pid = StateLock.holder(state.directory);
      throw new Failure(
        `the daemon of ${mountpoint} (process ${pid}) was killed and cannot end: echo 1 | sudo tee /sys/fs/fuse/connections/*/abort ` +
          'ends it, and every other FUSE mount of this machine',
      );
    }
    await delay(POLL_MS);
  }
  return true;
}

/**
 * Detaches a dead mount and ends its connection: whoever waits for it gets an error. Throws an Error that says what to type
 * instead when that is not allowed.
 */
export function detachMount(mountpoint: string): void {
  const [command, ...args] =
    process.getuid?.() === 0 ? ['umount', '-f', '-l', mountpoint] : ['fusermount3', '-u', '-z', mountpoint];
  const result = spawnSync(command!, args, { encoding: 'utf8' });
  if (result.error === undefined && result.status === 0) return;
  const reason = result.error ? messageOf(result.error) : result.stderr.trim();
  throw new Error(
    `the dead mount at ${mountpoint} could not be removed (${reason}): sudo umount -f -l ${shellWord(mountpoint)}`,
  );
}

// dead-mount.ts — sites whose daemon was killed, and the dead mounts that they left (fuse/mount-table.ts). Detaching one is for whoever
// knows that no daemon is left (see state-lock.ts), and wants none: a daemon that starts puts its own mount in the place of the dead one.

import { spawnSync } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';
import type { StateDirectory } from '../daemon/state-directory.js';
import { StateLock } from '../daemon/state-lock.js';
import { isDeadMount, mountedAt } from '../fuse/mount-table.js';
import { Failure, messageOf, shellWord } from './failure.js';

const RELEASE_TIMEOUT_MS = 5000;
const POLL_MS = 10;

/** Whether the site's daemon ended without unmounting. Unlike the mount alone, a killed daemon that cannot end is asked nothing. */
export function isAbandoned(state: StateDirectory): boolean {
  const { mountpoint } = state.config();
  return StateLock.isHolderDead(state.directory) ? mountedAt(mountpoint) !== undefined : isDeadMount(mountpoint);
}

/** Detaches the mount of a daemon that was killed and cannot end, which ends it. @returns false when it is no such daemon */
export async function releaseDeadHolder(state: StateDirectory): Promise<boolean> {
  const { mountpoint } = state.config();
  if (!StateLock.isHolderDead(state.directory) || !mountedAt(mountpoint)?.type.startsWith('fuse')) return false;
  if (!(await StateLock.isHeld(state.directory))) return false; // it did end, and its parent has not asked how
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

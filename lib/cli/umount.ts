// umount.ts — `weft umount MOUNTPOINT`: flush, unmount, and return when the daemon has ended.
// Also removes the mount that a killed daemon left behind.

import { setTimeout as delay } from 'node:timers/promises';
import type { CommandModule } from 'yargs';
import type { StateDirectory } from '../daemon/state-directory.js';
import { StateLock } from '../daemon/state-lock.js';
import { isDeadMount } from '../fuse/mount-table.js';
import { ControlClient } from './control-client.js';
import { Failure, shellWord } from './failure.js';
import { findSite } from './known-site.js';
import { detachMount, releaseDeadHolder } from './dead-mount.js';
import type { Unshared } from '../daemon/daemon-interface.js';
import { withState } from './site-options.js';
import { countText, sizeText } from './text-table.js';

const END_TIMEOUT_MS = 60_000;
const POLL_MS = 10;

interface Options {
  mountpoint: string;
  state: string | undefined;
  force: boolean;
}

export const umountCommand: CommandModule<object, Options> = {
  command: 'umount <mountpoint>',
  describe: 'flush, unmount, end the daemon',
  builder: (parser) =>
    withState(parser)
      .positional('mountpoint', { type: 'string', demandOption: true, describe: 'or a path below it' })
      .option('force', {
        type: 'boolean',
        default: false,
        describe: 'also while it is in use; who uses it gets errors after 5 seconds',
      }),
  handler: async ({ mountpoint: path, state: stateOption, force }) => {
    const state = findSite(path, stateOption);
    const { mountpoint, volume } = state.config();
    const daemon = await ControlClient.connect(state.directory);
    if (daemon) {
      try {
        const unshared = await daemon.request('stop', { force });
        if (unshared) process.stdout.write(notShared(unshared));
      } finally {
        daemon.close();
      }
      await untilEnded(state);
    } else if (await releaseDeadHolder(state)) {
      process.stdout.write(removed(mountpoint));
    } else if (await StateLock.isHeld(state.directory)) {
      throw new Failure(
        `the daemon of ${mountpoint} (process ${StateLock.holder(state.directory)}) is starting or ending: try again in a moment`,
      );
    } else if (isDeadMount(mountpoint)) {
      detachMount(mountpoint);
      process.stdout.write(removed(mountpoint));
    } else {
      throw new Failure(`volume ${volume} is not mounted: weft mount ${shellWord(mountpoint)} mounts it`);
    }
  },
};

/** Said of an end that went well: who takes the machine away should know. */
function notShared({ changes, bytes, files }: Unshared): string {
  const lines: string[] = [];
  if (files > 0)
    lines.push(
      `${countText(files, 'written file')}: kept here, and at no other site: could not be packed yet, the log says why`,
    );
  if (changes > 0)
    lines.push(
      `${countText(changes, 'change')}, ${sizeText(bytes)}: at no other site yet; weft sync --wait before weft umount says when they are`,
    );
  else if (bytes > 0)
    lines.push(`content, ${sizeText(bytes)}: at no other site that keeps everything; weft status counts it`);
  return `${lines.join('\n')}\n`;
}

function removed(mountpoint: string): string {
  return `the mount that a dead daemon left at ${mountpoint} was removed\n`;
}

/** The lock is the daemon's last hold on the state directory; a process id would be ambiguous. */
async function untilEnded(state: StateDirectory): Promise<void> {
  const deadlineMs = performance.now() + END_TIMEOUT_MS;
  while (await StateLock.isHeld(state.directory)) {
    if (performance.now() > deadlineMs) {
      const pid = StateLock.holder(state.directory);
      throw new Failure(
        `unmounted, but the daemon (process ${pid}) has not ended: see ${state.logPath}; kill ${pid} ends it`,
      );
    }
    await delay(POLL_MS);
  }
}

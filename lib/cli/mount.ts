// mount.ts — `weft mount MOUNTPOINT`: mounts again what was created or joined here, with the options it had.
// Options given now replace those and are kept. With --state DIR the mountpoint may be a new one.

import { resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { CommandModule } from 'yargs';
import type { SiteConfig } from '../daemon/daemon-interface.js';
import { StateDirectory } from '../daemon/state-directory.js';
import { StateLock } from '../daemon/state-lock.js';
import { realPath, StateRegistry } from '../daemon/state-registry.js';
import { mountedAt } from '../fuse/mount-table.js';
import { ControlClient } from './control-client.js';
import { releaseDeadHolder } from './dead-mount.js';
import { Failure, shellWord } from './failure.js';
import { usableMountpoint } from './mountpoint.js';
import {
  AS_BEFORE,
  contentChange,
  readMountOptions,
  withStartOptions,
  type StartOptions,
  logLevelOf,
  metricsOf,
} from './site-options.js';

/** What was written last may have to be packed. A detached mount (umount -l) goes on for as long as somebody has a file open there. */
const END_TIMEOUT_MS = 30_000;
/** That its mount is gone a daemon notices at once. */
const NOTICE_MS = 500;
const POLL_MS = 20;

interface Options extends StartOptions {
  mountpoint: string;
}

export const mountCommand: CommandModule<object, Options> = {
  command: 'mount <mountpoint>',
  describe: 'mount again a volume that was created or joined here',
  builder: (parser) =>
    withStartOptions(parser, AS_BEFORE).positional('mountpoint', {
      type: 'string',
      demandOption: true,
      describe: 'where it was',
    }),
  handler: async (options) => {
    const state = findState(options.mountpoint, options.state);
    const config = state.config();
    await releaseDeadHolder(state);
    await awaitEnd(state, config);
    const given = readMountOptions(options.o ?? []);
    const changes: Partial<SiteConfig> = {
      mountpoint: usableMountpoint(options.mountpoint, state.directory, given.allowNonEmpty),
    };
    if (options.listen !== undefined) changes.listen = options.listen;
    if (options.driver !== undefined) changes.driver = options.driver;
    if (options.content !== undefined) Object.assign(changes, contentChange(config, options.content));
    if (given.options.length > 0) changes.mountOptions = given.options;
    Object.assign(changes, metricsOf(options));
    // Loaded on demand: the other verbs must start fast.
    const { startSite } = await import('./start-site.js');
    await startSite(
      { kind: 'mount', directory: state.directory, logLevel: logLevelOf(options), changes },
      options,
      'mounted',
    );
  },
};

/** Waits for a daemon whose mount is gone, as after umount(8), to have written down what is left. */
async function awaitEnd({ directory }: StateDirectory, { volume, mountpoint }: SiteConfig): Promise<void> {
  const startMs = performance.now();
  while (await StateLock.isHeld(directory)) {
    const waitedMs = performance.now() - startMs;
    const isUsed = mountedAt(mountpoint) !== undefined || (waitedMs > NOTICE_MS && (await isServed(directory)));
    if (isUsed || waitedMs > END_TIMEOUT_MS) {
      const what = isUsed
        ? `is mounted already at ${mountpoint}`
        : `was unmounted from ${mountpoint} and is still in use`;
      throw new Failure(
        `volume ${volume} ${what} (process ${StateLock.holder(directory) ?? 'unknown'}): ` +
          `weft umount ${shellWord(mountpoint)} first`,
      );
    }
    await delay(POLL_MS);
  }
}

/** Whether the daemon serves a volume: one that is about to end does not answer that. */
async function isServed(directory: string): Promise<boolean> {
  const client = await ControlClient.connect(directory);
  if (!client) return false;
  try {
    await client.request('status', {}, { silenceMs: NOTICE_MS });
    return true;
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    return false;
  } finally {
    client.close();
  }
}

/** Only the exact mountpoint will do here: a directory inside some volume is not where to mount that. */
function findState(path: string, stateOption: string | undefined): StateDirectory {
  if (stateOption !== undefined) return StateDirectory.open(stateOption);
  const registry = new StateRegistry();
  // Before the file system is asked: a mount whose daemon was killed may never answer.
  const direct = registry.at(resolve(path));
  if (direct) return StateDirectory.open(direct.directory);
  const mountpoint = realPath(path);
  const known = registry.at(mountpoint) ?? registry.all().find((candidate) => candidate.mountpoint === mountpoint);
  if (known) return StateDirectory.open(known.directory);
  throw new Failure(
    `no volume is known for ${mountpoint}: weft status lists those that are; add --state DIR where one is kept elsewhere`,
  );
}

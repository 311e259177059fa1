// join.ts — `weft join INVITE MOUNTPOINT`: this becomes a further site of the volume that the invite is for, mounted.

import { randomBytes } from 'node:crypto';
import { join, resolve } from 'node:path';
import type { CommandModule } from 'yargs';
import { dataHome, StateDirectory } from '../daemon/state-directory.js';
import { parseInvite } from '../sync/invite.js';
import { messageOf, UsageError } from './failure.js';
import { usableMountpoint } from './mountpoint.js';
import {
  checkedVolume,
  contentOf,
  readMountOptions,
  withSite,
  withStartOptions,
  type StartOptions,
} from './site-options.js';

interface Options extends StartOptions {
  invite: string;
  mountpoint: string;
  site: string;
}

export const joinCommand: CommandModule<object, Options> = {
  command: 'join <invite> <mountpoint>',
  describe: 'join a volume by its invite, and mount it',
  builder: (parser) =>
    withSite(withStartOptions(parser))
      .positional('invite', { type: 'string', demandOption: true, describe: 'as weft invite prints it' })
      .positional('mountpoint', { type: 'string', demandOption: true, describe: 'an empty directory' }),
  handler: async (options) => {
    const volume = volumeOfInvite(options.invite);
    const directory = resolve(options.state ?? join(dataHome(), volume));
    const { options: mountOptions, allowNonEmpty } = readMountOptions(options.o ?? []);
    const mountpoint = usableMountpoint(options.mountpoint, directory, allowNonEmpty);
    StateDirectory.reserve(directory);
    const draft = {
      siteId: randomBytes(16).toString('hex'),
      site: options.site,
      mountpoint,
      listen: options.listen ?? '127.0.0.1:0',
      driver: options.driver ?? 'kernel',
      mountOptions,
      ...contentOf(options),
    };
    const job = { kind: 'join' as const, directory, debug: options.debug, invite: options.invite, draft };
    // Loaded on demand: the other verbs must start fast.
    const { startSite } = await import('./start-site.js');
    await startSite(job, options, 'joined and mounted');
  },
};

/**
 * The volume's name in an invite, for the default state directory. An invite works once: everything here that can
 * refuse must do so before it is used.
 */
function volumeOfInvite(invite: string): string {
  try {
    return checkedVolume(parseInvite(invite).volume);
  } catch (error) {
    throw new UsageError(messageOf(error), { cause: error });
  }
}

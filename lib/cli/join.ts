// join.ts — `weft join INVITE MOUNTPOINT`: this becomes a further site of the volume that the invite is for, mounted.

import { randomBytes } from 'node:crypto';
import { join, resolve } from 'node:path';
import type { CommandModule } from 'yargs';
import { dataHome, StateDirectory } from '../daemon/state-directory.js';
import { UsageError } from './failure.js';
import { usableMountpoint } from './mountpoint.js';
import { checkedVolume, readMountOptions, withSite, withStartOptions, type StartOptions } from './site-options.js';
import { startSite } from './start-site.js';

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
    };
    const job = { kind: 'join' as const, directory, debug: options.debug, invite: options.invite, draft };
    await startSite(job, options, 'joined and mounted');
  },
};

/**
 * The volume's name in an invite, for the default state directory: an invite works once, so everything here that can
 * refuse must do so before it is used. All else about invites is lib/sync's to judge.
 */
function volumeOfInvite(invite: string): string {
  const match = /^weft:\/\/[^/]+\/([^/#]+)#/.exec(invite);
  try {
    if (match) return checkedVolume(decodeURIComponent(match[1]!));
  } catch (error) {
    if (!(error instanceof URIError)) throw error;
  }
  throw new UsageError(
    `${JSON.stringify(invite)} is no invite: paste what weft invite printed, weft://HOST:PORT/VOLUME#… in single quotes`,
  );
}

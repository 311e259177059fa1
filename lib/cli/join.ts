// join.ts — `weft join INVITE MOUNTPOINT`: this becomes a further site of the volume that the invite is for, mounted.

import type { CommandModule } from 'yargs';
import { parseInvite } from '../sync/invite.js';
import { messageOf, UsageError } from './failure.js';
import { inviteGiven } from './invite-given.js';
import { newSite, type NewSiteOptions } from './new-site.js';
import { checkedVolume, OF_NEW_SITES, withSite, withStartOptions, logLevelOf } from './site-options.js';

interface Options extends NewSiteOptions {
  invite: string;
}

export const joinCommand: CommandModule<object, Options> = {
  command: 'join <invite> <mountpoint>',
  describe: 'join a volume by its invite, and mount it',
  builder: (parser) =>
    withSite(withStartOptions(parser, OF_NEW_SITES))
      .positional('invite', {
        type: 'string',
        demandOption: true,
        describe: 'as weft invite prints it; -: it is read from stdin',
      })
      .positional('mountpoint', { type: 'string', demandOption: true, describe: 'an empty directory' }),
  handler: async (options) => {
    const invite = inviteGiven(options.invite);
    const { directory, draft } = newSite(options, volumeOfInvite(invite));
    const job = { kind: 'join' as const, directory, logLevel: logLevelOf(options), invite, draft };
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

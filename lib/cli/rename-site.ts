// rename-site.ts — `weft rename-site MOUNTPOINT NAME`: another name for this site, at all sites. Conflict copies keep the one they have.

import type { CommandModule } from 'yargs';
import { findSite, withDaemon } from './known-site.js';
import { checkedSite, withState } from './site-options.js';

interface Options {
  mountpoint: string;
  name: string;
  state: string | undefined;
}

export const renameSiteCommand: CommandModule<object, Options> = {
  command: 'rename-site <mountpoint> <name>',
  describe: 'give this site another name',
  builder: (parser) =>
    withState(parser)
      .positional('mountpoint', { type: 'string', demandOption: true, describe: 'or a path below it' })
      .positional('name', {
        type: 'string',
        demandOption: true,
        coerce: checkedSite,
        describe: 'that no other site of the volume has',
      }),
  handler: async ({ mountpoint, name, state }) => {
    await withDaemon(findSite(mountpoint, state), (daemon) => daemon.request('renameSite', { name }));
  },
};

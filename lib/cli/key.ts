// key.ts — `weft key rotate MOUNTPOINT`: a new key for this site, in the place of the one it has. Prints its identity.

import type { CommandModule } from 'yargs';
import { findSite, withDaemon } from './known-site.js';
import { withState } from './site-options.js';

interface Options {
  action: 'rotate';
  mountpoint: string;
  state: string | undefined;
}

export const keyCommand: CommandModule<object, Options> = {
  command: 'key <action> <mountpoint>',
  describe: 'rotate: give this site a new key in the place of the one that it has',
  builder: (parser) =>
    withState(parser)
      .positional('action', { choices: ['rotate'] as const, demandOption: true, describe: 'what to do with it' })
      .positional('mountpoint', { type: 'string', demandOption: true, describe: 'or a path below it' }),
  handler: async ({ mountpoint, state }) => {
    const identity = await withDaemon(findSite(mountpoint, state), (daemon) => daemon.request('rotateKey', {}));
    process.stdout.write(`${identity}\n`);
  },
};

// role.ts — `weft role MOUNTPOINT SITE read-write|read-only` and `weft retire MOUNTPOINT SITE`: what a site of a volume may do.

import type { CommandModule } from 'yargs';
import { findSite, withDaemon } from './known-site.js';
import { withState } from './site-options.js';

interface Options {
  mountpoint: string;
  site: string;
  state: string | undefined;
}

const KINDS = ['read-write', 'read-only'] as const;

export const roleCommand: CommandModule<object, Options & { role: (typeof KINDS)[number] }> = {
  command: 'role <mountpoint> <site> <role>',
  describe: 'let a site write, or only read; a retired one comes back with read-write',
  builder: (parser) =>
    withState(parser)
      .positional('mountpoint', { type: 'string', demandOption: true, describe: 'of the volume here' })
      .positional('site', { type: 'string', demandOption: true, describe: 'its name or site id: weft peers' })
      .positional('role', { choices: KINDS, demandOption: true, describe: 'what it makes from now on counts, or not' }),
  handler: ({ mountpoint, state, site, role }) => setRole({ mountpoint, state, site }, role),
};

export const retireCommand: CommandModule<object, Options> = {
  command: 'retire <mountpoint> <site>',
  describe: 'put a site out of the volume: what it made is kept, nothing more is taken from it',
  builder: (parser) =>
    withState(parser)
      .positional('mountpoint', { type: 'string', demandOption: true, describe: 'of the volume here' })
      .positional('site', { type: 'string', demandOption: true, describe: 'its name or site id: weft peers' }),
  handler: (options) => setRole(options, 'retired'),
};

async function setRole({ mountpoint, state, site }: Options, kind: (typeof KINDS)[number] | 'retired'): Promise<void> {
  await withDaemon(findSite(mountpoint, state), (daemon) => daemon.request('setRole', { site, kind }));
}

// create.ts — `weft create VOLUME MOUNTPOINT`: a new volume with this as its first site, mounted.

import { randomBytes } from 'node:crypto';
import type { CommandModule } from 'yargs';
import { newSite, type NewSiteOptions } from './new-site.js';
import { checkedVolume, OF_NEW_SITES, withSite, withStartOptions, logLevelOf } from './site-options.js';

interface Options extends NewSiteOptions {
  volume: string;
}

export const createCommand: CommandModule<object, Options> = {
  command: 'create <volume> <mountpoint>',
  describe: 'a new volume, mounted here',
  builder: (parser) =>
    withSite(withStartOptions(parser, OF_NEW_SITES))
      .positional('volume', { type: 'string', demandOption: true, coerce: checkedVolume, describe: 'its name' })
      .positional('mountpoint', { type: 'string', demandOption: true, describe: 'an empty directory' }),
  handler: async (options) => {
    const { volume } = options;
    const { directory, draft } = newSite(options, volume);
    const config = { ...draft, volumeId: randomBytes(16).toString('hex'), volume, peers: [], slot: null };
    // Loaded on demand: the other verbs must start fast.
    const { startSite } = await import('./start-site.js');
    await startSite(
      { kind: 'create', directory, logLevel: logLevelOf(options), config },
      options,
      'created and mounted',
    );
  },
};

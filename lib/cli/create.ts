// create.ts — `weft create VOLUME MOUNTPOINT`: a new volume with this as its first site, mounted.

import { randomBytes } from 'node:crypto';
import { join, resolve } from 'node:path';
import type { CommandModule } from 'yargs';
import { dataHome, StateDirectory } from '../daemon/state-directory.js';
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
  volume: string;
  mountpoint: string;
  site: string;
}

export const createCommand: CommandModule<object, Options> = {
  command: 'create <volume> <mountpoint>',
  describe: 'a new volume, mounted here',
  builder: (parser) =>
    withSite(withStartOptions(parser))
      .positional('volume', { type: 'string', demandOption: true, coerce: checkedVolume, describe: 'its name' })
      .positional('mountpoint', { type: 'string', demandOption: true, describe: 'an empty directory' }),
  handler: async (options) => {
    const directory = resolve(options.state ?? join(dataHome(), options.volume));
    const { options: mountOptions, allowNonEmpty } = readMountOptions(options.o ?? []);
    const mountpoint = usableMountpoint(options.mountpoint, directory, allowNonEmpty);
    StateDirectory.reserve(directory);
    const config = {
      volumeId: randomBytes(16).toString('hex'),
      volume: options.volume,
      siteId: randomBytes(16).toString('hex'),
      site: options.site,
      mountpoint,
      listen: options.listen ?? '127.0.0.1:0',
      driver: options.driver ?? 'kernel',
      mountOptions,
      ...contentOf(options),
      peers: [],
      slot: null,
    };
    // Loaded on demand: the other verbs must start fast.
    const { startSite } = await import('./start-site.js');
    await startSite({ kind: 'create', directory, debug: options.debug, config }, options, 'created and mounted');
  },
};

// restore-site.ts — `weft restore-site BACKUP MOUNTPOINT`: a site comes back from what weft backup made, and is mounted. What was made since
// the backup comes from other sites, as far as they had it; its inode numbers are of a new range.

import { join, resolve } from 'node:path';
import type { CommandModule } from 'yargs';
import type { SiteConfig } from '../daemon/daemon-interface.js';
import { dataHome } from '../daemon/state-directory.js';
import { usableMountpoint } from './mountpoint.js';
import {
  AS_BEFORE,
  contentOf,
  metricsOf,
  readMountOptions,
  withStartOptions,
  type StartOptions,
  logLevelOf,
} from './site-options.js';

interface Options extends StartOptions {
  backup: string;
  mountpoint: string;
}

export const restoreSiteCommand: CommandModule<object, Options> = {
  command: 'restore-site <backup> <mountpoint>',
  describe: 'bring a site back from a backup that weft backup made, and mount it',
  builder: (parser) =>
    withStartOptions(parser, AS_BEFORE)
      .positional('backup', { type: 'string', demandOption: true, describe: 'the directory that weft backup made' })
      .positional('mountpoint', { type: 'string', demandOption: true, describe: 'an empty directory' }),
  handler: async (options) => {
    // Loaded on demand: the other verbs must start fast.
    const { readBackup, restoreBackup } = await import('../daemon/site-backup.js');
    const backup = resolve(options.backup);
    const { volume } = readBackup(backup);
    const directory = resolve(options.state ?? join(dataHome(), volume));
    const given = readMountOptions(options.o ?? []);
    const mountpoint = usableMountpoint(options.mountpoint, directory, given.allowNonEmpty);
    restoreBackup(backup, directory);
    const changes: Partial<SiteConfig> = { mountpoint, ...contentOf(options), ...metricsOf(options) };
    if (options.listen !== undefined) changes.listen = options.listen;
    if (options.driver !== undefined) changes.driver = options.driver;
    if (given.options.length > 0) changes.mountOptions = given.options;
    const { startSite } = await import('./start-site.js');
    await startSite(
      { kind: 'mount', directory, logLevel: logLevelOf(options), changes },
      options,
      'restored and mounted',
    );
  },
};

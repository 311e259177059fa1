// new-site.ts — what create and join make of their options alike: where the state of the new site is kept, and who it is.
// Invariant: whatever of the options can be refused is refused here, before anything is asked of another site; what is left behind then is
// at most a reserved state directory without a site.

import { randomBytes } from 'node:crypto';
import { join, resolve } from 'node:path';
import type { SiteConfig } from '../daemon/daemon-interface.js';
import { dataHome, StateDirectory } from '../daemon/state-directory.js';
import { usableMountpoint } from './mountpoint.js';
import { contentOf, metricsOf, readMountOptions, type StartOptions } from './site-options.js';

export interface NewSiteOptions extends StartOptions {
  mountpoint: string;
  site: string;
}

export type NewSite = Pick<
  SiteConfig,
  'siteId' | 'site' | 'mountpoint' | 'listen' | 'driver' | 'mountOptions' | 'content' | 'metrics'
>;

/** Reserves the state directory of a new site of `volume`. Throws what says why it cannot be made, and what to do. */
export function newSite(options: NewSiteOptions, volume: string): { directory: string; draft: NewSite } {
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
    ...metricsOf(options),
  };
  return { directory, draft };
}

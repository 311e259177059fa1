// site-config.test-support.ts — the config of a site that is none in particular, for tests.

import type { SiteConfig } from './daemon-interface.js';

export function someSiteConfig(mountpoint: string): SiteConfig {
  return {
    volumeId: '1'.repeat(32),
    volume: 'team',
    siteId: '2'.repeat(32),
    site: 'paris',
    mountpoint,
    listen: '127.0.0.1:0',
    driver: 'kernel',
    mountOptions: [],
    peers: [],
    slot: null,
  };
}

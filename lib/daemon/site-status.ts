// site-status.ts — what `weft status` says of a mounted site, put together from what its parts know.

import type { PeerStatus, SiteConfig, SiteStatus } from './daemon-interface.js';
import type { Requests } from './thread-protocol.js';
import type { Survey } from './tree-survey.js';

export function siteStatus(
  config: SiteConfig,
  listen: string,
  { digest, inodes, conflicts }: Survey,
  { journalBytes, chunkBytes, missing }: Requests['status']['reply'],
  peers: readonly PeerStatus[],
): SiteStatus {
  return {
    volume: config.volume,
    site: config.site,
    siteId: config.siteId,
    mountpoint: config.mountpoint,
    listen,
    digest,
    peers: peers.map(
      ({ site, siteId, address, state, behindCommits, aheadCommits, aheadBytes, keepsAll, lastError }) => ({
        site,
        siteId,
        address,
        state,
        behindCommits,
        aheadCommits,
        aheadBytes,
        keepsAll,
        lastError,
      }),
    ),
    pid: process.pid,
    driver: config.driver,
    conflicts,
    inodes,
    journalBytes,
    chunkBytes,
    missingObjects: missing,
    content: config.content ?? 'everything',
    rssBytes: process.memoryUsage.rss(),
  };
}

// site-status.ts — what `weft status` says of a mounted site, and `weft sync` while it waits, put together from what its parts know.

import type { PeerStatus, SiteConfig, SiteStatus, Transfer } from './daemon-interface.js';
import type { Requests } from './thread-protocol.js';
import type { Survey } from './tree-survey.js';

export function siteStatus(
  config: SiteConfig,
  listen: string,
  { digest, inodes, conflicts, absentBytes }: Survey,
  { journalBytes, chunkBytes, missing, missingBytes, unsharedBytes }: Requests['status']['reply'],
  peers: readonly PeerStatus[],
  /** Why the oldest change of the journal is still there, in words. */
  journalHeldBy: string | null,
): SiteStatus {
  return {
    volume: config.volume,
    site: config.site,
    siteId: config.siteId,
    mountpoint: config.mountpoint,
    listen,
    digest,
    peers: peers.map(({ site, siteId, address, state, keepsAll, lastError, ...figures }) => ({
      site,
      siteId,
      address,
      state,
      behindCommits: figures.behindCommits,
      aheadCommits: figures.aheadCommits,
      aheadBytes: figures.aheadBytes,
      receivingBytesPerS: figures.receivingBytesPerS,
      sendingBytesPerS: figures.sendingBytesPerS,
      keepsAll,
      lastError,
    })),
    pid: process.pid,
    driver: config.driver,
    conflicts,
    inodes,
    journalBytes,
    journalHeldBy,
    chunkBytes,
    missingObjects: missing,
    missingBytes,
    absentBytes,
    unsharedBytes,
    content: config.content ?? 'everything',
    rssBytes: process.memoryUsage.rss(),
  };
}

export function transferOf(
  { missing, missingBytes }: Requests['status']['reply'],
  peers: readonly PeerStatus[],
): Transfer {
  const reachable = peers.filter((peer) => peer.state === 'connected');
  return {
    behindCommits: reachable.reduce((most, peer) => Math.max(most, peer.behindCommits), 0),
    aheadCommits: reachable.reduce((most, peer) => Math.max(most, peer.aheadCommits), 0),
    missingObjects: missing,
    missingBytes,
    receivingBytesPerS: reachable.reduce((sum, peer) => sum + peer.receivingBytesPerS, 0),
  };
}

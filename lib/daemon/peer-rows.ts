// peer-rows.ts — what `weft peers` says of the sites of a volume: what its registers say of each, beside what the links know.

import type { Member } from '../crdt/members.js';
import type { SiteId } from '../crdt/ids.js';
import type { PeerStatus } from '../sync/roster.js';
import type { PeerRow } from './daemon-interface.js';

/** By name; sites that do not belong to the volume any more come last. */
export function peerRows(
  own: SiteId,
  members: readonly Member[],
  peers: readonly PeerStatus[],
  quarantined: ReadonlyMap<SiteId, number>,
): PeerRow[] {
  const rows = members.map((member): PeerRow => {
    const peer = peers.find(({ siteId }) => siteId === member.siteId);
    const isHere = member.siteId === own;
    return {
      site: member.name,
      siteId: member.siteId,
      identity: member.identity,
      addresses: [...member.addresses],
      role: member.role.kind,
      state: isHere ? 'here' : (peer?.state ?? 'not linked'),
      lastSeen: peer?.lastSeenMs == null ? null : new Date(peer.lastSeenMs).toISOString(),
      behindCommits: peer?.behindCommits ?? null,
      aheadCommits: peer?.aheadCommits ?? null,
      aheadBytes: peer?.aheadBytes ?? null,
      missingObjects: peer?.missingObjects ?? null,
      quarantined: quarantined.get(member.siteId) ?? 0,
    };
  });
  return rows.toSorted((a, b) => rank(a) - rank(b) || (a.site < b.site ? -1 : 1));
}

function rank({ role }: PeerRow): number {
  return Number(role === 'retired');
}

/** The member that a user means by a name or a site id. Throws an Error with the remedy if none or several. */
export function memberNamed(members: readonly Member[], text: string): Member {
  const exact = members.find(({ siteId }) => siteId === text);
  const named = members.filter(({ name, role }) => name === text && role.kind !== 'retired');
  if (named.length > 1 && !exact) {
    const ids = named.map(({ siteId }) => siteId).join(', ');
    throw new Error(`several sites are called ${JSON.stringify(text)}; name one by its site id: ${ids}`);
  }
  const found = exact ?? named[0] ?? members.find(({ name }) => name === text);
  if (found) return found;
  throw new Error(`no site of the volume is called ${JSON.stringify(text)}; weft peers lists them`);
}

// members.ts — the sites of a volume, as its own registers say: their names, their keys, where they can be reached.
// Invariant: a function of the registers alone, so sites that hold the same changes agree on who is a member. Which links follow
// from that is the syncer's business.

import type { SiteId } from './ids.js';
import type { Inode } from './inode.js';
import { ADDRESS_PREFIX, KEY_PREFIX, parseAddresses, parseIdentity, SITE_PREFIX } from './volume-fields.js';

export interface Member {
  readonly siteId: SiteId;
  /** '?' when it is not known. */
  readonly name: string;
  /** SHA-256 of its public key, 64 hex digits; null: it has shown none yet. */
  readonly identity: string | null;
  /** HOST:PORT where it listens, as it said itself. */
  readonly addresses: readonly string[];
}

/** By site id. Of concurrent values of a register the latest counts. */
export function membersOf(volume: Inode | undefined): Member[] {
  const registers = volume?.registers ?? new Map<string, never>();
  const ids = new Set<SiteId>();
  for (const field of registers.keys()) {
    for (const prefix of [SITE_PREFIX, KEY_PREFIX]) if (field.startsWith(prefix)) ids.add(field.slice(prefix.length));
  }
  const valueOf = (field: string): string | undefined => registers.get(field)?.[0]?.value as string | undefined;
  return [...ids].toSorted().map((siteId) => {
    const key = valueOf(KEY_PREFIX + siteId);
    const addresses = valueOf(ADDRESS_PREFIX + siteId);
    return {
      siteId,
      name: valueOf(SITE_PREFIX + siteId) ?? '?',
      identity: key === undefined ? null : parseIdentity(key),
      addresses: addresses === undefined ? [] : parseAddresses(addresses),
    };
  });
}

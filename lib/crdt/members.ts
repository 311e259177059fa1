// members.ts — the sites of a volume, as its own registers say: their names, their keys, where they can be reached.
// Invariant: a function of the registers alone, so sites that hold the same changes agree on who is a member. Which links follow
// from that is the syncer's business.

import type { ActorId, SiteId } from './ids.js';
import type { Entry, Inode } from './inode.js';
import {
  ADDRESS_PREFIX,
  KEY_PREFIX,
  parseAddresses,
  parseIdentity,
  parseRole,
  ROLE_KINDS,
  ROLE_PREFIX,
  NAME_PREFIX,
  SITE_PREFIX,
} from './volume-fields.js';
import type { Role } from './volume-fields.js';

export interface Member {
  readonly siteId: SiteId;
  /** '?' when it is not known. */
  readonly name: string;
  /** SHA-256 of its public key, 64 hex digits; null: it has shown none yet. */
  readonly identity: string | null;
  /** HOST:PORT where it listens, as it said itself. */
  readonly addresses: readonly string[];
  readonly role: Role;
}

/** Of a site of which nobody said anything else. */
export const READ_WRITE: Role = { kind: 'read-write', cut: new Map() };

/** By site id. Of concurrent values of a register the latest counts, of concurrent roles the strictest. */
export function membersOf(volume: Inode | undefined): Member[] {
  const registers = volume?.registers ?? new Map<string, readonly Entry[]>();
  const ids = new Set<SiteId>();
  for (const field of registers.keys()) {
    for (const prefix of [SITE_PREFIX, KEY_PREFIX, ROLE_PREFIX])
      if (field.startsWith(prefix)) ids.add(field.slice(prefix.length));
  }
  const valueOf = (field: string): string | undefined => registers.get(field)?.[0]?.value as string | undefined;
  return [...ids].toSorted().map((siteId) => {
    const key = valueOf(KEY_PREFIX + siteId);
    const addresses = valueOf(ADDRESS_PREFIX + siteId);
    return {
      siteId,
      name: valueOf(NAME_PREFIX + siteId) ?? valueOf(SITE_PREFIX + siteId) ?? '?',
      identity: key === undefined ? null : parseIdentity(key),
      addresses: addresses === undefined ? [] : parseAddresses(addresses),
      role: roleOf(registers.get(ROLE_PREFIX + siteId) ?? []),
    };
  });
}

/** What any of several that closed a site let count does count. */
function roleOf(entries: readonly Entry[]): Role {
  if (entries.length === 0) return READ_WRITE;
  const roles = entries.map(({ value }) => parseRole(value));
  const kind = ROLE_KINDS.findLast((strict) => roles.some((role) => role.kind === strict))!;
  const cut = new Map<ActorId, number>();
  for (const role of roles) for (const [actor, seq] of role.cut) cut.set(actor, Math.max(seq, cut.get(actor) ?? 0));
  return { kind, cut };
}

// stable-frontier.ts — what every site of the volume has made durable, and who holds that back. Pure.
// Invariant: a member that was never heard of holds everything back; one that was away for longer than is waited for, or that was retired,
// holds nothing back. Whoever lacks what is dropped below the frontier is sent the state, so no site need agree with another on it.

import type { Holding } from './member-vectors.js';
import { covers, lackingCount, lowest, raise } from './version-vector.js';
import type { Member } from '../crdt/members.js';
import type { ActorId, SiteId } from '../crdt/ids.js';
import type { VersionVector } from '../crdt/change.js';

/** How a site stands to the frontier. */
export interface MemberStanding {
  readonly siteId: SiteId;
  readonly site: string;
  /** Changes that this site has and it is not known to have. */
  readonly lacks: number;
  /** When somebody was linked to it last, milliseconds since 1970; 0: never, as far as is known here. */
  readonly seenMs: number;
  /** It was away for too long: nothing waits for it. */
  readonly isFenced: boolean;
}

export interface Frontier {
  /** What all of them have. */
  readonly vector: VersionVector;
  /** What any of those that are waited for has. */
  readonly joined: VersionVector;
  /** The others, by site id, but for those that were retired. */
  readonly standings: readonly MemberStanding[];
}

/**
 * The frontier that may be acted on. What sites hold that have all of a frontier may be news here: a snapshot, say, that needs what is below
 * it. They made it before they had all of the frontier, and so had it when they said that: once this site has all that was said, too,
 * nothing is to come that does not build on the frontier. What only a site had that is not waited for any more never comes: of one that
 * was retired, what it wrote afterwards.
 */
export class SettledFrontier {
  private pending: Frontier | null = null;
  private waits = false;

  /** Whether it was still to come, what was said when a frontier was seen, when it was asked for last. */
  get isUnsettled(): boolean {
    return this.waits;
  }

  /** @returns the last frontier that was seen, once `own` has what was said then; null until then */
  next(own: VersionVector, seen: Frontier): VersionVector | null {
    const { pending } = this;
    this.waits = pending !== null && !covers(own, lowest(pending.joined, seen.joined));
    if (this.waits) return null;
    this.pending = seen;
    return pending?.vector ?? null;
  }
}

/**
 * @param own what is durable here
 * @param awaySinceMs a site that nobody was linked to since then is not waited for, milliseconds since 1970
 */
export function stableFrontier(
  siteId: SiteId,
  own: VersionVector,
  members: readonly Member[],
  holdings: readonly Holding[],
  awaySinceMs: number,
): Frontier {
  const bySite = new Map(holdings.map((holding) => [holding.siteId, holding]));
  const vector = new Map(own);
  const joined = new Map(own);
  const standings: MemberStanding[] = [];
  for (const member of members) {
    if (member.siteId === siteId || member.role.kind === 'retired') continue;
    const held = bySite.get(member.siteId);
    const seenMs = held?.seenMs ?? 0;
    // Of one that was never heard of it is not known for how long it is away.
    const isFenced = seenMs > 0 && seenMs < awaySinceMs;
    const lacks = isFenced ? lackingCount(held!.vector, own) : lower(vector, held?.vector ?? new Map(), own);
    if (held && !isFenced) raise(joined, held.vector);
    standings.push({ siteId: member.siteId, site: member.name, lacks, seenMs, isFenced });
  }
  return { vector, joined, standings };
}

/** Lowers `vector` to what `held` has too. @returns how many changes of `own` that lacks */
function lower(vector: Map<ActorId, number>, held: VersionVector, own: VersionVector): number {
  for (const [actor, seq] of vector) {
    const other = held.get(actor) ?? 0;
    if (other === 0) vector.delete(actor);
    else if (other < seq) vector.set(actor, other);
  }
  return lackingCount(held, own);
}

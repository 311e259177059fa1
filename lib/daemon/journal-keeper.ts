// journal-keeper.ts — says from time to time what of the journal may be dropped: what every site that is waited for has made durable.
// Invariant: decides by what sites said that they hold (sync/member-vectors.ts); what of that is needed here all the same, the site
// thread knows (volume/truncating.ts).

import type { VersionVector } from '../crdt/change.js';
import type { SiteId } from '../crdt/ids.js';
import type { Member } from '../crdt/members.js';
import type { Holding } from '../sync/member-vectors.js';
import { type Frontier, type MemberStanding, SettledFrontier, stableFrontier } from '../sync/stable-frontier.js';
import { covers } from '../sync/version-vector.js';
import type { SiteRequests } from './site-sync-store.js';

/** How long a site that is away is waited for, unless the user says otherwise. */
export const DEFAULT_AWAY_MS = 30 * 86_400_000;

export interface JournalKeeperOptions {
  readonly siteId: SiteId;
  readonly site: SiteRequests;
  /** What is durable here. */
  readonly vector: () => VersionVector;
  readonly members: () => readonly Member[];
  readonly holdings: () => readonly Holding[];
  /** How long history is kept; null: as the volume says. */
  readonly keepHistoryMs: () => number | null;
  /** How long a site that is away is waited for. */
  readonly awayMs: () => number;
  /** Milliseconds since 1970. */
  readonly nowMs: () => number;
  /** Whether a peer is being sent the base, which is not to change meanwhile. */
  readonly isServing: () => boolean;
}

/** How the journal stands to the other sites. */
export interface JournalStanding {
  readonly standings: readonly MemberStanding[];
  /** Nothing is dropped because what others have is still to come here. */
  readonly isUnsettled: boolean;
}

/** Nothing new is below the frontier, but what is there has grown older. */
const ASK_AGAIN_MS = 60_000;

export class JournalKeeper {
  private readonly settled = new SettledFrontier();
  private asked: VersionVector = new Map();
  private askedMs = -Infinity;

  constructor(private readonly options: JournalKeeperOptions) {}

  /** What every site has, and who holds it back. */
  frontier(): Frontier {
    const { siteId, vector, members, holdings, awayMs, nowMs } = this.options;
    return stableFrontier(siteId, vector(), members(), holdings(), nowMs() - awayMs());
  }

  standing(): JournalStanding {
    return { standings: this.frontier().standings, isUnsettled: this.settled.isUnsettled };
  }

  /** To be called every few seconds. */
  async check(): Promise<void> {
    if (this.options.isServing()) {
      this.askedMs = -Infinity;
      await this.options.site.request('truncate', null);
      return;
    }
    const frontier = this.settled.next(this.options.vector(), this.frontier());
    const nowMs = this.options.nowMs();
    if (!frontier || frontier.size === 0) return;
    const isOld = nowMs >= this.askedMs && nowMs < this.askedMs + ASK_AGAIN_MS;
    if (isOld && covers(this.asked, frontier)) return;
    this.asked = frontier;
    this.askedMs = nowMs;
    const keepHistoryMs = this.options.keepHistoryMs();
    await this.options.site.request('truncate', { frontier: [...frontier], keepHistoryMs, nowUs: nowMs * 1000 });
  }
}

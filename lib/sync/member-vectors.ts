// member-vectors.ts — what the sites of the volume hold durably, as far as this one heard: from its own links, or told on by others.
// Invariant: an entry is what its site once said, so it holds at least that, unless its state was put back from a backup; entries only
// rise. A site that lacks the changes that others dropped on their strength is sent the state. Of content that is given up on it
// (daemon/other-sites.ts) a site that was put back may miss what took the place of something longer ago than history is kept.

import { MAX_ACTORS } from './message.js';
import { ahead, raise } from './version-vector.js';
import type { ActorId, SiteId } from '../crdt/ids.js';
import type { VersionVector } from '../crdt/change.js';

/** What a site holds durably. */
export interface Holding {
  readonly siteId: SiteId;
  readonly vector: VersionVector;
  /** When somebody was linked to it last, milliseconds since 1970 by the clock of who says so. */
  readonly seenMs: number;
}

/** That a site was seen is told on when it is news by so much. */
const SEEN_NEWS_MS = 60_000;

interface Held {
  readonly vector: Map<ActorId, number>;
  seenMs: number;
}

export class MemberVectors {
  private readonly held = new Map<SiteId, Held>();

  /** Takes what was said of a site. */
  note({ siteId, vector, seenMs }: Holding): void {
    const held = this.of(siteId);
    // A site that tells of more than any volume has is not worth the memory: what it holds is then taken for less than it does.
    if (held.vector.size + vector.size <= MAX_ACTORS) raise(held.vector, vector);
    held.seenMs = Math.max(held.seenMs, seenMs);
  }

  get(siteId: SiteId): Holding | undefined {
    const held = this.held.get(siteId);
    return held && { siteId, ...held };
  }

  all(): Holding[] {
    return [...this.held].map(([siteId, held]) => ({ siteId, ...held }));
  }

  /** What is news to somebody who was `told`; it counts as told from now on. `but`: not of these sites. */
  untold(told: MemberVectors, but: ReadonlySet<SiteId>): Holding[] {
    const news: Holding[] = [];
    for (const [siteId, { vector, seenMs }] of this.held) {
      if (but.has(siteId)) continue;
      const before = told.of(siteId);
      const delta = ahead(vector, before.vector);
      if (delta.size === 0 && seenMs < before.seenMs + SEEN_NEWS_MS) continue;
      news.push({ siteId, vector: delta, seenMs });
      told.note({ siteId, vector: delta, seenMs });
    }
    return news.toSorted((a, b) => (a.siteId < b.siteId ? -1 : 1));
  }

  private of(siteId: SiteId): Held {
    let held = this.held.get(siteId);
    if (!held) this.held.set(siteId, (held = { vector: new Map(), seenMs: 0 }));
    return held;
  }
}

// journal-report.ts — what `weft journal` and `weft status` say of the journal: how large it is, from when on it goes, and what keeps the
// rest of it.

import type { JournalStanding } from './journal-keeper.js';
import type { Requests } from './thread-protocol.js';

export interface JournalReport {
  readonly bytes: number;
  /** The changes up to then were dropped, ISO 8601; null: none were. */
  readonly since: string | null;
  /** Why its oldest change is still there; null: nothing keeps it. */
  readonly heldBy: string | null;
  /** How long a site that is away is waited for, milliseconds. */
  readonly awayMs: number;
  readonly sites: readonly JournalSite[];
}

/** How another site of the volume stands to the journal here. */
export interface JournalSite {
  readonly site: string;
  /** Changes of the journal that it is not known to have. */
  readonly lacks: number;
  /** When somebody was linked to it last, ISO 8601; null: not known. */
  readonly seen: string | null;
  /** It was away for too long: nothing waits for it, and it is sent the state when it is back. */
  readonly fenced: boolean;
}

type Stored = Pick<Requests['status']['reply'], 'journalBytes' | 'journalSinceUs' | 'journalHeldBy'>;

export function journalReport(stored: Stored, standing: JournalStanding, awayMs: number): JournalReport {
  return {
    bytes: stored.journalBytes,
    since: stored.journalSinceUs === 0 ? null : new Date(stored.journalSinceUs / 1000).toISOString(),
    heldBy: heldBy(stored, standing),
    awayMs,
    sites: standing.standings.map(({ site, lacks, seenMs, isFenced }) => ({
      site,
      lacks,
      seen: seenMs === 0 ? null : new Date(seenMs).toISOString(),
      fenced: isFenced,
    })),
  };
}

/** In words, for people. */
export function heldBy(
  { journalHeldBy: hold, journalBytes }: Stored,
  { standings, isUnsettled }: JournalStanding,
): string | null {
  const behind = standings.filter(({ lacks, isFenced }) => lacks > 0 && !isFenced).map(({ site }) => site);
  const unheard = standings.filter(({ seenMs }) => seenMs === 0).map(({ site }) => site);
  switch (hold?.by) {
    case 'history':
      return 'history';
    case 'snapshot':
      return `snapshot ${hold.name}`;
    case 'conflict':
      return `the conflict at ${hold.path}`;
    case 'open':
      return `${hold.path}, which is open here since before another site changed it`;
    case 'sites':
      // When it was tried last; meanwhile they have it.
      if (behind.length > 0) return `what ${behind.join(', ')} may lack`;
      break;
    case undefined:
      if (unheard.length > 0) return `${unheard.join(', ')}, not heard of yet`;
      break;
  }
  return isUnsettled && journalBytes > 0 ? 'what other sites have and this one does not yet' : null;
}

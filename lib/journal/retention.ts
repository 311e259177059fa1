// retention.ts — how much of the past a site keeps: what the volume says, and before that what was said for this site alone.
// Invariant: each limit by itself: the site's, else the volume's, else 30 days of age and nothing of the others. What a snapshot shows is
// kept whatever the limits are, until the snapshot is deleted.

import { parseRetention } from '../crdt/volume-fields.js';
import type { Retention } from '../crdt/volume-fields.js';
import type { StateSnapshot } from './state-snapshot.js';

/** The key of the site's own limits among the journal's texts; its age is in the site's configuration (`weft gc --keep-history`). */
export const SITE_RETENTION_KEY = 'keep';

/** Limits from which on there is none: a century, and what no site holds. */
export const UNLIMITED: Required<Retention> = {
  age: 100 * 365 * 86_400,
  count: 1e9,
  bytes: Number.MAX_SAFE_INTEGER,
};

/** How old history becomes where nobody says otherwise, seconds. */
export const DEFAULT_AGE_S = 30 * 86_400;

const DEFAULT: Required<Retention> = { ...UNLIMITED, age: DEFAULT_AGE_S };

/** What was said for this site alone, but for the age. */
export function siteRetention(present: Pick<StateSnapshot, 'meta'>): Retention {
  const text = present.meta(SITE_RETENTION_KEY);
  return text === undefined ? {} : parseRetention(text);
}

export function retentionInForce(volume: Retention, site: Retention): Required<Retention> {
  return { ...DEFAULT, ...volume, ...site };
}

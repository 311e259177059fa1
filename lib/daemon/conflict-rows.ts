// conflict-rows.ts — conflicts as `weft conflicts` lists them. Names stay latin1 strings of their bytes; the command line decodes.

import { createHash } from 'node:crypto';
import type { Conflict } from '../crdt/conflicts.js';
import type { ConflictRow } from './daemon-interface.js';

/** Hex digits of a conflict's id: enough that a person tells two apart, the same at every site. */
const ID_DIGITS = 8;

export function describeConflict({ kind, path, winner, loser, wanted, why }: Conflict): ConflictRow {
  const text = `/${path.join('/')}`;
  const identity = [kind, text, winner.site, winner.stamp, loser.site, loser.stamp].join('\0');
  return {
    id: createHash('sha256').update(identity, 'latin1').digest('hex').slice(0, ID_DIGITS),
    path: text,
    kind,
    shown: winner.site,
    sites: winner.site === loser.site ? [winner.site] : [winner.site, loser.site],
    reason: wanted ? `${why} (wanted: /${wanted.join('/')})` : why,
  };
}

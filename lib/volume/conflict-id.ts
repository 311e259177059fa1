// conflict-id.ts — the name that people give a conflict: short, the same at every site that lists it, and after any restart.
// Invariant: it stands for this conflict between these two writes. Another write to what is in conflict makes another conflict, so
// nobody settles what they have not seen; moving it, or a directory above it, does not.

import { createHash } from 'node:crypto';
import type { Conflict } from '../crdt/conflicts.js';

/** Hex digits: two of 10,000 conflicts are alike in one volume of five million, and they can still be typed. */
const ID_DIGITS = 12;

export function conflictId({ kind, ino, link, attribute, winner, loser }: Conflict): string {
  const identity = [kind, ino, link, loser.site, loser.stamp];
  // What keeps a removed directory is whatever is in it, and that goes on changing.
  if (kind !== 'revived' || winner.type !== 'd') identity.push(winner.site, winner.stamp);
  if (attribute !== undefined) identity.push(attribute);
  return createHash('sha256').update(identity.join('\0'), 'latin1').digest('hex').slice(0, ID_DIGITS);
}

// recovered-stamps.ts — what a crash interrupted competes as of when it was done: a site that was down must not win with it over what
// others did meanwhile.

import { type ActorId, VOLUME_INO } from '../crdt/ids.js';
import type { Volume } from '../volume/volume.js';

/** Stamps that recovery may give in a row, each a microsecond after the one before. */
const IN_A_ROW = 1_000;

/**
 * Of a volume that was just opened.
 * @param actorId its actor, which so far has only brought back what its predecessor did
 * @param endedUs the latest that the site's clock had told when that ended: what was done before the clock was set back is as of then
 * @returns the stamp that is too late, if one is
 */
export function lateStamp({ journal }: Volume, actorId: ActorId, endedUs: number): number | undefined {
  const { store, actors } = journal;
  const own = actors.indexOf(actorId);
  const lastOfOthers = journal.db.prepare('select max(stamp) from change where actor <> ?').pluck();
  // What it saw last may have been overwritten by what was recovered.
  let before = Math.max(endedUs, (lastOfOthers.get(own ?? -1) as number | null) ?? 0, journal.floor.stamp);
  let recovered = 0;
  for (const ino of store.inodes())
    for (const { actor, stamp } of [...store.inode(ino)!.registers.values()].flat()) {
      // The volume's own registers are the new actor's.
      if (actor === own && ino === VOLUME_INO) continue;
      if (actor === own) recovered = Math.max(recovered, stamp);
      else before = Math.max(before, stamp);
    }
  return recovered > before + IN_A_ROW ? recovered : undefined;
}

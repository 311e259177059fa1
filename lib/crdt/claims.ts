// claims.ts — what a change may say that only its author can know: whose run it is, which share of the inode numbers is its site's, where
// that site listens, and which numbers its operations have.
// Invariant: the answer follows from the change and from what it builds on, so every site gives the same one. Changes are not signed: who
// belongs to the volume can still make up a run of another site, and no rule here can tell.

import type { Change } from './change.js';
import type { SiteId } from './ids.js';
import { ROOT_INO, slotOf, VOLUME_INO } from './ids.js';
import type { Inode } from './inode.js';
import { ACTOR_PREFIX, ADDRESS_PREFIX, SLOT_PREFIX } from './volume-fields.js';

/** 2200-01-01. Numbers above leave no room for clocks that go on from there. */
const LAST_STAMP_US = 7_258_118_400_000_000;
const VOLUME_KEY = `${VOLUME_INO}.`;
const BORN_END = '.born';

/**
 * @param volume the volume's own registers, with all in them that the change builds on
 * @param lastOpOf the number of the last operation of a change that it builds on, as far as the journal still has it
 * @param highestOp the highest of all
 * @returns what is wrong with it, or undefined
 */
export function claimError(
  change: Change,
  volume: Inode | undefined,
  lastOpOf: (hash: string) => number | undefined,
  highestOp: number,
): string | undefined {
  const { actor, seq, stamp, startOp, deps, ops } = change;
  if (stamp > LAST_STAMP_US) return `a stamp behind the year 2199 (${stamp})`;
  let builtOn: number | undefined = 0;
  for (const dep of deps) {
    const last = lastOpOf(dep);
    builtOn = last === undefined || builtOn === undefined ? undefined : Math.max(builtOn, last);
  }
  // There are 2^32 of them for the life of a volume: none may be left out.
  if (builtOn !== undefined ? startOp !== builtOn + 1 : startOp > highestOp + 1) {
    return `its operations begin at ${startOp}, those it builds on end at ${builtOn ?? highestOp}`;
  }
  const field = ACTOR_PREFIX + actor;
  const own = ops.find(({ key }) => key === VOLUME_KEY + field);
  const known = volume?.registers.get(field)?.[0]?.value;
  const site = (known ?? own?.value) as SiteId | undefined;
  if (site === undefined) return 'it does not say which site made it';
  if (own !== undefined && (seq !== 1 || own.pred.length > 0)) return 'it says once more which site made it';
  const claimed = new Set<number>();
  for (const { key, value, pred } of ops) {
    if (key.startsWith(VOLUME_KEY)) {
      const wrong = volumeClaimError(key.slice(VOLUME_KEY.length), value, pred.length > 0, field, site, claimed);
      if (wrong !== undefined) return wrong;
    } else if (key.endsWith(BORN_END)) {
      const ino = Number(key.slice(0, -BORN_END.length));
      const slot = slotOf(ino);
      if (ino !== ROOT_INO && !claimed.has(slot) && !volume?.registers.has(SLOT_PREFIX + slot)) {
        return `inode number ${ino} is of slot ${slot}, which no site has`;
      }
    }
  }
  return undefined;
}

function volumeClaimError(
  field: string,
  value: unknown,
  overwrites: boolean,
  ownActor: string,
  site: SiteId,
  claimed: Set<number>,
): string | undefined {
  if (field.startsWith(ACTOR_PREFIX)) {
    return field === ownActor
      ? undefined
      : `it says whose run ${field.slice(ACTOR_PREFIX.length)} is, and is none of it`;
  }
  if (field.startsWith(ADDRESS_PREFIX) && field !== ADDRESS_PREFIX + site) {
    return `it says where site ${field.slice(ADDRESS_PREFIX.length)} listens, and site ${site} made it`;
  }
  if (field.startsWith(SLOT_PREFIX)) {
    if (value !== site) return `it claims ${field} for site ${String(value)}, and site ${site} made it`;
    if (overwrites) return `it takes ${field} from another site`;
    claimed.add(Number(field.slice(SLOT_PREFIX.length)));
  }
  return undefined;
}

// admission.ts — which keys are spoken with: those of the volume's members, as its registers say, but for retired ones.
// What a stranger is told names its own key and the remedy, and nothing of the volume.

import type { Member } from '../crdt/members.js';
import type { SiteId } from '../crdt/ids.js';
import type { Rejection } from './dialer.js';
import { bidFarewell } from './link.js';
import type { Link } from './link.js';
import { goodbye } from './message.js';
import type { SecureChannel } from './secure-channel.js';
import type { Identity } from './site-key.js';

/** The volume's sites, and how one becomes a member. */
export interface MemberStore {
  /** As the registers that are held here say; may be a live view. */
  all(): readonly Member[];
  /** Makes a key that of a site, durably, here and with the next exchange everywhere. Rejects with the reason why it cannot be. */
  admit(site: { siteId: SiteId; name: string; identity: Identity }): Promise<void>;
}

const INTRODUCE =
  'introduce the two: weft invite at the one site, weft link add MOUNTPOINT INVITE at the other; or link both with a site that knows them';

/** Which keys an end of a connection has, and had. */
export type KeyHolder = Pick<SecureChannel, 'peer' | 'isOf'>;

/** Whoever has this key, or had one that it took the place of, unless it was retired. */
export function memberWith(members: MemberStore, holder: KeyHolder): Member | undefined {
  const member = holderOf(members, holder);
  return member?.role.kind === 'retired' ? undefined : member;
}

/** A key that is known counts before those that it followed. */
function holderOf(members: MemberStore, holder: KeyHolder): Member | undefined {
  const all = members.all();
  return (
    all.find(({ identity }) => identity === holder.peer) ??
    all.find(({ identity }) => identity !== null && holder.isOf(identity))
  );
}

export function isRetired(members: MemberStore, siteId: SiteId): boolean {
  return members.all().some((member) => member.siteId === siteId && member.role.kind === 'retired');
}

/** null: whoever has this key and answers at the address is a member. */
export function judgeMember(members: MemberStore, address: string, holder: KeyHolder): Rejection | null {
  const identity = holder.peer;
  const member = holderOf(members, holder);
  if (member && member.role.kind !== 'retired') return null;
  if (member) {
    const here = `site ${JSON.stringify(member.name)} at ${address} was retired; weft link remove stops dialling it`;
    return { code: 'retired', here, there: RETIRED };
  }
  return {
    code: 'unknown-site',
    here: `what answers at ${address} has the key ${short(identity)}, which this site knows of no site of the volume: another volume is served there, or the site is new; if it is new, ${INTRODUCE}`,
    there: strangerReason(identity),
  };
}

/** What a site is told that was retired. */
export const RETIRED =
  'this site was retired from the volume, and what it made since is taken nowhere: copy what you need of it elsewhere, and join again with an invite and a new state directory';

/** Tells somebody that dialled and is no member why it is not linked. Gives the reason. */
export function turnAway(members: MemberStore, link: Link, holder: KeyHolder): string {
  const wasMember = holderOf(members, holder) !== undefined;
  const reason = wasMember ? RETIRED : strangerReason(holder.peer);
  bidFarewell(link, goodbye(wasMember ? 'retired' : 'unknown-site', reason));
  return reason;
}

function strangerReason(identity: Identity): string {
  return `the other end knows no site with the key ${short(identity)}: it holds another volume, or has not heard of this site; if so, ${INTRODUCE}`;
}

function short(identity: Identity): string {
  return `${identity.slice(0, 16)}…`;
}

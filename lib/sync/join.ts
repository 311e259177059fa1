// join.ts — how a guest becomes a site: it shows an invite to the site that gave it, its key becomes a member's, and it is told what
// volume that is and who is there. Nothing but one request and its answer may be said on the connection.
// Invariant: the guest speaks with the site whose key the invite names and with no other; the host lets in who proves the invite's
// secret on this very connection (secure-channel.ts). An invite is used up durably before the guest is made a member, and that is
// durable before the answer is sent: should the answer get lost, the user needs another invite.

import { encodeBase32 } from './base32.js';
import { dial } from './dialer.js';
import { INVITE_ID_BYTES, INVITE_SECRET_BYTES, parseInvite } from './invite.js';
import type { Invite } from './invite.js';
import type { Link } from './link.js';
import { goodbye, PROTOCOL_VERSION } from './message.js';
import type { GoodbyeCode, Introduction, Message } from './message.js';
import { isWireName } from './wire-text.js';
import type { InviteRecord, InviteStore, SyncClock, SyncRandom } from './ports.js';
import type { SecureChannel } from './secure-channel.js';
import type { Identity, SiteKey } from './site-key.js';
import { systemClock } from './system-clock.js';
import type { SiteId } from '../crdt/ids.js';

/** A guest has this long to say what it wants, and the site as long to answer. */
const CONVERSATION_MS = 5000;
const NO_INVITE = 'it is wrong, used or expired; ask for a new one (weft invite)';

export interface Guest {
  readonly key: SiteKey;
  readonly siteId: SiteId;
  readonly site: string;
  /** The volume that the guest holds already, '' when none. */
  readonly volumeId: string;
}

export interface JoinGrant {
  readonly volumeId: string;
  readonly volumeName: string;
  /** HOST:PORT of the invite that the host answered at: dial it. */
  readonly address: string;
  /** The host's key. */
  readonly identity: Identity;
  /** The host, then the sites that it has met, with the HOST:PORT that they listen on: for the user to choose further links from. */
  readonly peers: readonly [Introduction, ...Introduction[]];
}

/**
 * Redeems an invite; it is used up by that. Rejects with one line that names what is wrong and the remedy: malformed, used,
 * expired, nobody listening, another site there.
 */
export async function redeemInvite(text: string, guest: Guest, clock: SyncClock = systemClock): Promise<JoinGrant> {
  const invite = parseInvite(text);
  const failures: string[] = [];
  for (const address of invite.addresses) {
    const answer = await redeemAt(address, invite, guest, clock);
    if (typeof answer !== 'string') return answer;
    failures.push(answer);
  }
  throw new Error(failures.join('; '));
}

/** Rejects when the host refuses. The result is a text when there was nobody to ask. */
function redeemAt(address: string, invite: Invite, guest: Guest, clock: SyncClock): Promise<JoinGrant | string> {
  return new Promise((resolve, reject) => {
    dial(
      {
        clock,
        address,
        key: guest.key,
        path: '/join',
        judge: (channel) => (channel.isOf(invite.identity) ? null : strangeHost(address, channel.peer)),
      },
      {
        failed: resolve,
        opened: (link, channel) => {
          const end = (result: JoinGrant | Error): void => {
            cancelTimer();
            link.close();
            if (result instanceof Error) reject(result);
            else resolve(result);
          };
          const cancelTimer = clock.setTimer(CONVERSATION_MS, () =>
            end(new Error(`${address} does not answer the invite`)),
          );
          link.listen({
            message: (message) => end(readAnswer(message, address, channel.peer)),
            corrupt: (reason) => end(new Error(`${address} answered the invite with garbage: ${reason}`)),
            closed: (reason) => end(new Error(`${address} did not answer the invite: ${reason}`)),
            drained: () => {},
          });
          const { siteId, site, volumeId } = guest;
          const proof = channel.proofOf(invite.secret);
          const version = PROTOCOL_VERSION;
          link.send({ type: 'join-request', version, inviteId: invite.id, proof, siteId, site, volumeId });
        },
      },
    );
  });
}

function strangeHost(address: string, identity: Identity) {
  return {
    code: 'unknown-site',
    here: `what answers at ${address} has the key ${identity.slice(0, 16)}…, which is not that of the site that gave the invite: somebody is in between, or the site was made anew; ask for a new invite`,
    there: 'a guest was looking for another site at this address',
  } as const;
}

function readAnswer(message: Message, address: string, identity: Identity): JoinGrant | Error {
  if (message.type === 'goodbye') return new Error(message.reason);
  if (message.type !== 'join-grant') return new Error(`${address} answered the invite with ${message.type}`);
  const { volumeId, volumeName, peers } = message;
  const [host, ...others] = peers;
  if (host === undefined) return new Error(`${address} answered the invite without saying who it is`);
  return { volumeId, volumeName, address, identity, peers: [host, ...others] };
}

/** A new invite to be kept and handed out. */
export function newInvite(random: SyncRandom, expiresAtMs: number): InviteRecord {
  const id = encodeBase32(random.bytes(INVITE_ID_BYTES));
  return { id, secret: random.bytes(INVITE_SECRET_BYTES), expiresAtMs, used: false };
}

/** Somebody that proved an invite. */
export interface Admission {
  readonly siteId: SiteId;
  readonly site: string;
  readonly identity: Identity;
}

export interface Host {
  readonly clock: SyncClock;
  readonly invites: InviteStore;
  readonly siteName: string;
  readonly volumeId: string;
  /** The guest proved its invite. */
  proved(): void;
  /** Makes the guest a member, durably. Rejects with the reason why it cannot be one. */
  admit(guest: Admission): Promise<void>;
  grant(): Message & { type: 'join-grant' };
  /** A guest was let in, or told why not. */
  answered(guest: string, refusal: string | null): void;
}

/** The host's side: answers the one request on the link of somebody who wants to join. */
export function answerGuest(link: Link, channel: SecureChannel, host: Host): void {
  let asked = false;
  const end = (): void => {
    cancelTimer();
    link.close();
  };
  const cancelTimer = host.clock.setTimer(CONVERSATION_MS, end);
  const answer = async (message: Message): Promise<void> => {
    const guest = message.type === 'join-request' ? message.site : 'a guest';
    const refusal = message.type === 'join-request' ? check(message, channel, host) : notARequest(message);
    if (refusal) {
      link.send(goodbye(refusal.code, refusal.reason));
      return host.answered(guest, refusal.reason);
    }
    const { siteId, site } = message as Message & { type: 'join-request' };
    try {
      await host.admit({ siteId, site, identity: channel.peer });
    } catch (error) {
      const reason = `${(error as Error).message}; the invite is used up: ask for a new one (weft invite)`;
      link.send(goodbye('rejected', reason));
      return host.answered(guest, reason);
    }
    link.send(host.grant());
    host.answered(guest, null);
  };
  link.listen({
    message: (message) => {
      if (asked) return;
      asked = true;
      void answer(message).finally(end);
    },
    corrupt: end,
    closed: cancelTimer,
    drained: () => {},
  });
}

interface Refused {
  readonly code: GoodbyeCode;
  readonly reason: string;
}

function notARequest(message: Message): Refused {
  if (message.type === 'foreign-hello') {
    const reason = `protocol versions differ: this site speaks ${PROTOCOL_VERSION}, the guest ${message.version}; upgrade weft`;
    return { code: 'version', reason };
  }
  return { code: 'protocol', reason: `an invite allows to join, and nothing else: ${message.type} was sent` };
}

/** Uses the invite up unless it refuses. */
function check(request: Message & { type: 'join-request' }, channel: SecureChannel, host: Host): Refused | null {
  const at = `site ${JSON.stringify(host.siteName)}`;
  const invite = host.invites.find(request.inviteId);
  // Whoever does not know the secret is told nothing about the invite.
  if (invite === undefined || !channel.proves(request.proof, invite.secret)) {
    return { code: 'invite-wrong', reason: `the invite is not accepted: ${NO_INVITE}` };
  }
  host.proved();
  // The volume's registers take no other, and one that they do not take would stop all that this site sends behind it.
  if (!isWireName(request.site)) return { code: 'protocol', reason: 'a site without a name cannot join' };
  if (invite.used) {
    return { code: 'invite-used', reason: `this invite was used already; ask for a new one at ${at} (weft invite)` };
  }
  if (host.clock.wallMs() >= invite.expiresAtMs) {
    const when = new Date(invite.expiresAtMs).toISOString();
    const reason = `this invite expired at ${when}; ask for a new one at ${at} (weft invite)`;
    return { code: 'invite-expired', reason };
  }
  if (request.volumeId !== '' && request.volumeId !== host.volumeId) {
    const reason = `the invite is of another volume than the one that site ${JSON.stringify(request.site)} holds; it can still be used to join that one`;
    return { code: 'volume', reason };
  }
  if (!host.invites.consume(invite.id)) {
    return { code: 'invite-used', reason: `this invite was used just now; ask for a new one at ${at} (weft invite)` };
  }
  return null;
}

// join.ts — how a guest becomes a site: it shows an invite to the site that gave it, and is told the volume's id, key and peers.
// The connection is keyed with the invite's secret, and nothing but one request and its answer may be said on it. An invite is
// used up by the answer, durably and before the answer is sent: should the answer get lost, the user needs another invite.

import { dial } from './dialer.js';
import { encodeBase32 } from './base32.js';
import { INVITE_ID_BYTES, INVITE_SECRET_BYTES, parseInvite } from './invite.js';
import type { Link } from './link.js';
import { goodbye } from './message.js';
import type { GoodbyeCode, Introduction, Message } from './message.js';
import type { InviteRecord, InviteStore, SyncClock, SyncRandom } from './ports.js';
import { systemClock } from './system-clock.js';

/** A guest has this long to say what it wants, and the site as long to answer. */
const CONVERSATION_MS = 5000;

export interface JoinGrant {
  readonly volumeId: string;
  readonly volumeName: string;
  readonly volumeKey: Uint8Array;
  /** HOST:PORT that the invite names: dial it. */
  readonly address: string;
  /** The inviter, then the sites that it has met, with the HOST:PORT that they listen on: for the user to choose further links from. */
  readonly peers: readonly Introduction[];
}

/**
 * Redeems an invite; it is used up by that. Rejects with one line that names what is wrong and the remedy: malformed, used,
 * expired, nobody listening.
 */
export function redeemInvite(text: string, siteName: string, clock: SyncClock = systemClock): Promise<JoinGrant> {
  return new Promise((resolve, reject) => {
    const { address, id, secret } = parseInvite(text);
    const identity = { kind: 'invite', inviteId: id } as const;
    dial(
      { clock, address, identity, key: secret },
      {
        failed: (reason) => reject(new Error(reason)),
        opened: (link) => {
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
            message: (message) => end(readAnswer(message, address)),
            corrupt: (reason) => end(new Error(`${address} answered the invite with garbage: ${reason}`)),
            closed: (reason) => end(new Error(`${address} did not answer the invite: ${reason}`)),
            drained: () => {},
          });
          link.send({ type: 'join-request', site: siteName });
        },
      },
    );
  });
}

function readAnswer(message: Message, address: string): JoinGrant | Error {
  if (message.type === 'goodbye') return new Error(message.reason);
  if (message.type !== 'join-grant') return new Error(`${address} answered the invite with ${message.type}`);
  const { volumeId, volumeName, volumeKey, peers } = message;
  return { volumeId, volumeName, volumeKey, address, peers };
}

/** A new invite to be kept and handed out. */
export function newInvite(random: SyncRandom, expiresAtMs: number): InviteRecord {
  const id = encodeBase32(random.bytes(INVITE_ID_BYTES));
  return { id, secret: random.bytes(INVITE_SECRET_BYTES), expiresAtMs, used: false };
}

export interface Host {
  readonly clock: SyncClock;
  readonly invites: InviteStore;
  readonly siteName: string;
  grant(): Message & { type: 'join-grant' };
  /** A guest was let in, or told why not. */
  answered(guest: string, refusal: string | null): void;
}

/** The host's side: answers the one request on a link that was keyed with the invite's secret. */
export function answerGuest(link: Link, inviteId: string, host: Host): void {
  const refuse = (guest: string, code: GoodbyeCode, reason: string): void => {
    link.send(goodbye(code, reason));
    host.answered(guest, reason);
  };
  const answer = (message: Message): void => {
    if (message.type !== 'join-request') {
      return refuse('a guest', 'protocol', `an invite allows to join, and nothing else: ${message.type} was sent`);
    }
    const at = `site ${JSON.stringify(host.siteName)}`;
    const invite = host.invites.find(inviteId);
    if (invite === undefined || invite.used) {
      return refuse(
        message.site,
        'invite-used',
        `this invite was used already; ask for a new one at ${at} (weft invite)`,
      );
    }
    if (host.clock.wallMs() >= invite.expiresAtMs) {
      const when = new Date(invite.expiresAtMs).toISOString();
      return refuse(
        message.site,
        'invite-expired',
        `this invite expired at ${when}; ask for a new one at ${at} (weft invite)`,
      );
    }
    if (!host.invites.consume(inviteId)) {
      return refuse(
        message.site,
        'invite-used',
        `this invite was used just now; ask for a new one at ${at} (weft invite)`,
      );
    }
    link.send(host.grant());
    host.answered(message.site, null);
  };
  const end = (): void => {
    cancelTimer();
    link.close();
  };
  const cancelTimer = host.clock.setTimer(CONVERSATION_MS, end);
  link.listen({
    message: (message) => {
      answer(message);
      end();
    },
    corrupt: end,
    closed: cancelTimer,
    drained: () => {},
  });
}

// dialer.ts — opens a link to a site that listens, and says in one line why it could not.
// Invariant: whoever answers is judged by its key before a byte is sent to it; one that is refused gets a goodbye, and nothing else.

import { connect } from 'node:tls';
import { WebSocket } from 'ws';
import { parseAddress } from './address.js';
import { MAX_FRAME_BYTES } from './frame.js';
import { bidFarewell, Link } from './link.js';
import { goodbye } from './message.js';
import type { GoodbyeCode } from './message.js';
import type { SyncClock } from './ports.js';
import { SecureChannel, tlsOptions } from './secure-channel.js';
import type { SiteKey } from './site-key.js';

export const DIAL_WITHIN_MS = 8000;
/** So long one that is refused can take its goodbye. */
const FAREWELL_MS = 1000;

/** Why somebody is not spoken with: for the user of this site, and for that of the other one. */
export interface Rejection {
  readonly code: GoodbyeCode;
  readonly here: string;
  readonly there: string;
}

export interface DialOptions {
  readonly clock: SyncClock;
  /** HOST:PORT */
  readonly address: string;
  readonly key: SiteKey;
  /** What is wanted: to be linked, or to join. */
  readonly path: '/' | '/join';
  /** Of whoever answered; null: it may be spoken with. */
  judge(channel: SecureChannel): Rejection | null;
}

export interface DialEvents {
  /** The link must be listened to at once. */
  opened(link: Link, channel: SecureChannel): void;
  failed(reason: string): void;
}

/** Calls exactly one of the events, later; or none if cancelled, which is what the result does. */
export function dial(options: DialOptions, events: DialEvents): () => void {
  const { clock, key } = options;
  const socket = connect({ ...parseAddress(options.address), ...tlsOptions(key) });
  let over = false;
  const finish = (): boolean => {
    if (over) return false;
    over = true;
    cancelTimer();
    return true;
  };
  const fail = (reason: string): void => {
    if (finish()) events.failed(reason);
  };
  const cancelTimer = clock.setTimer(DIAL_WITHIN_MS, () => {
    fail(`${options.address} does not answer; check the address and that no firewall is in between`);
    socket.destroy();
  });
  const broken = (error: Error): void => fail(dialProblem(error, options.address));
  socket.on('error', broken);
  socket.once('close', () => fail(`${options.address} broke off the handshake`));
  socket.once('secureConnect', () => {
    if (over) return;
    const channel = SecureChannel.over(socket, key, true);
    if (channel === null) {
      fail(`what answers at ${options.address} is no weft site: it shows no key`);
      socket.destroy();
      return;
    }
    const rejection = options.judge(channel);
    const webSocket = new WebSocket(`ws://weft${options.path}`, {
      createConnection: () => socket,
      perMessageDeflate: false,
      skipUTF8Validation: true,
      maxPayload: MAX_FRAME_BYTES,
      // The mask protects plain-text proxies from chosen bytes (RFC 6455, 10.3). Inside TLS there is none; zeros cost nothing.
      generateMask: (mask) => mask.fill(0),
    });
    webSocket.on('error', broken);
    if (rejection) {
      fail(rejection.here);
      const cancelFarewell = clock.setTimer(FAREWELL_MS, () => socket.destroy());
      webSocket.once('close', cancelFarewell);
      webSocket.once('open', () => {
        bidFarewell(new Link(webSocket, socket, clock), goodbye(rejection.code, rejection.there));
      });
      return;
    }
    webSocket.once('open', () => {
      if (finish()) events.opened(new Link(webSocket, socket, clock), channel);
    });
  });
  return () => {
    if (finish()) socket.destroy();
  };
}

/** One line for what went wrong, by Node's error code or OpenSSL's alert (RFC 8446, 6.2). */
function dialProblem(error: NodeJS.ErrnoException, address: string): string {
  switch (error.code) {
    case 'ECONNREFUSED':
      return `nothing listens at ${address}; is the site up there? (weft status shows its address)`;
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return `the host name of ${address} cannot be resolved; check its spelling`;
    case 'EHOSTUNREACH':
    case 'ENETUNREACH':
      return `there is no route to ${address}; check the network`;
    case 'ETIMEDOUT':
      return `${address} does not answer; check the address and that no firewall is in between`;
    case 'ECONNRESET':
    case 'EPIPE':
      return `${address} broke off the handshake`;
    case 'ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION':
    case 'ERR_SSL_UNSUPPORTED_PROTOCOL':
    case 'ERR_SSL_SSLV3_ALERT_HANDSHAKE_FAILURE':
      return `${address} does not speak TLS 1.3: an earlier version of weft runs there, or something else; upgrade weft there`;
    default:
      return `what answers at ${address} is no weft site: ${error.message.trim()}`;
  }
}

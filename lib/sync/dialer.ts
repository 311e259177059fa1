// dialer.ts — opens a link to a site that listens, and says in one line why it could not.

import type { IncomingMessage } from 'node:http';
import type { ConnectionOptions } from 'node:tls';
import { WebSocket } from 'ws';
import type { ClientOptions } from 'ws';
import { parseAddress, formatAddress } from './address.js';
import { MAX_FRAME_BYTES } from './frame.js';
import { Link } from './link.js';
import type { SyncClock } from './ports.js';
import { formatIdentity, PSK_TLS_OPTIONS } from './tls-psk.js';
import type { Identity } from './tls-psk.js';

export const DIAL_WITHIN_MS = 8000;

export interface DialOptions {
  readonly clock: SyncClock;
  /** HOST:PORT */
  readonly address: string;
  readonly identity: Identity;
  readonly key: Uint8Array;
}

export interface DialEvents {
  /** The link must be listened to at once. */
  opened(link: Link): void;
  failed(reason: string): void;
}

/** Calls exactly one of the events, later; or none if cancelled, which is what the result does. */
export function dial(options: DialOptions, events: DialEvents): () => void {
  const { clock, identity, key } = options;
  const address = parseAddress(options.address);
  const socketOptions: ClientOptions & ConnectionOptions = {
    ...PSK_TLS_OPTIONS,
    pskCallback: () => ({ psk: key, identity: formatIdentity(identity) }),
    // There is no certificate to check: the key proves the server. (The two sets of types disagree on what "fine" is.)
    checkServerIdentity: () => undefined as never,
    perMessageDeflate: false,
    skipUTF8Validation: true,
    maxPayload: MAX_FRAME_BYTES,
    // The mask protects plain-text proxies from chosen bytes (RFC 6455, 10.3). Inside TLS there is none; a mask of zeros costs nothing.
    generateMask: (mask) => mask.fill(0),
  };
  const webSocket = new WebSocket(`wss://${formatAddress(address)}/`, socketOptions);
  let upgrade: IncomingMessage | undefined;
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
    webSocket.terminate();
  });
  webSocket.once('upgrade', (response) => {
    upgrade = response;
  });
  webSocket.on('error', (error) => fail(dialProblem(error, options.address, identity.kind)));
  webSocket.once('open', () => {
    if (finish()) events.opened(new Link(webSocket, upgrade!.socket, clock));
  });
  return () => {
    if (finish()) webSocket.terminate();
  };
}

/** One line for what went wrong, by Node's error code or OpenSSL's alert (RFC 5246, 7.2; RFC 4279, 2). */
function dialProblem(error: NodeJS.ErrnoException, address: string, kind: Identity['kind']): string {
  const keyRefused = /alert (bad record mac|unknown psk identity|decrypt error|handshake failure)|BAD_RECORD_MAC/i;
  if (keyRefused.test(error.message) || keyRefused.test(error.code ?? '')) {
    return kind === 'invite'
      ? `${address} does not accept the invite: it is wrong, used or expired; ask for a new one (weft invite)`
      : `${address} does not accept this volume's key: another volume is served there; check the address, or join again with an invite`;
  }
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
    default:
      return `what answers at ${address} is no weft site: ${error.message.trim()}`;
  }
}

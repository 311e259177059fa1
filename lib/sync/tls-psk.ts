// tls-psk.ts — how the two ends of a connection know each other: TLS 1.2 with a pre-shared key (RFC 4279, RFC 5489).
// Both ends prove that they hold the key, everything is encrypted with forward secrecy, and nothing can be replayed. The identity
// that goes with the key is public and says which key is meant; only with the key does it mean anything.

import type { TLSSocket } from 'node:tls';
import type { SiteId } from '../crdt/ids.js';

/** The volume's key lets a site in; an invite's secret lets a guest ask for that key, and nothing else. */
export type Identity =
  | { readonly kind: 'volume'; readonly volumeId: string; readonly siteId: SiteId }
  | { readonly kind: 'invite'; readonly inviteId: string };

/** One suite only: there is nothing to negotiate down to. */
export const PSK_TLS_OPTIONS = {
  ciphers: 'ECDHE-PSK-CHACHA20-POLY1305',
  minVersion: 'TLSv1.2',
  maxVersion: 'TLSv1.2',
} as const;

export function formatIdentity(identity: Identity): string {
  return identity.kind === 'volume' ? `volume:${identity.volumeId}:${identity.siteId}` : `invite:${identity.inviteId}`;
}

export const VOLUME_ID = /^[A-Za-z0-9_-]{1,64}$/;

/** null: none that this program knows. */
export function parseIdentity(text: string): Identity | null {
  const volume = /^volume:([^:]+):([0-9a-f]{32})$/.exec(text);
  if (volume && VOLUME_ID.test(volume[1]!)) return { kind: 'volume', volumeId: volume[1]!, siteId: volume[2]! };
  const invite = /^invite:([0-9a-z]{8})$/.exec(text);
  return invite ? { kind: 'invite', inviteId: invite[1]! } : null;
}

/** A server's side: looks up keys, and remembers who each socket turned out to be. */
export class IdentityCheck {
  private readonly claims = new WeakMap<TLSSocket, Identity>();
  constructor(private readonly keyOf: (identity: Identity) => Uint8Array | null) {}

  /** For the pskCallback option of a TLS server. null ends the handshake. */
  readonly pskCallback = (socket: TLSSocket, text: string): Uint8Array | null => {
    // A second call would be a renegotiation: an identity, once proved, is not exchanged for another.
    if (this.claims.has(socket)) return null;
    const identity = parseIdentity(text);
    const key = identity && this.keyOf(identity);
    if (key) this.claims.set(socket, identity);
    return key;
  };

  /** Who a socket is; only to be asked once its handshake is through. */
  proved(socket: TLSSocket): Identity | undefined {
    return this.claims.get(socket);
  }
}

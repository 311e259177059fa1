// secure-channel.ts — the two ends of a connection know each other by their keys: TLS 1.3, and each proves that it has its private one.
// TLS proves possession and nothing more: whether a key may be spoken with is for whoever opened the connection to say, before
// anything is sent or read on it. Sessions are not resumed, and nothing is sent in the first flight (0-RTT).

import { createHmac, timingSafeEqual } from 'node:crypto';
import type { TLSSocket, TlsOptions } from 'node:tls';
import { PROOF_BYTES } from './message.js';
import { followedBy } from './key-succession.js';
import { identityOf } from './site-key.js';
import type { Identity, SiteKey } from './site-key.js';

/** For both ends. There is no authority to ask about a certificate: the key in it is what counts. */
export function tlsOptions({ privateKey, certificate }: SiteKey) {
  return {
    key: privateKey,
    cert: certificate,
    minVersion: 'TLSv1.3',
    requestCert: true,
    rejectUnauthorized: false,
  } as const satisfies TlsOptions;
}

const EXPORT_LABEL = 'EXPORTER-weft-invite';
const EXPORT_BYTES = 32;

/** One connection whose handshake is through. */
export class SecureChannel {
  private constructor(
    private readonly socket: TLSSocket,
    private readonly own: Identity,
    /** Who is at the other end. */
    readonly peer: Identity,
    /** The keys that this one took the place of, as each of them said. */
    readonly peerBefore: readonly Identity[],
    private readonly dialled: boolean,
  ) {}

  /** null: the other end showed no key. */
  static over(socket: TLSSocket, { identity: own }: SiteKey, dialled: boolean): SecureChannel | null {
    const certificate = socket.getPeerX509Certificate();
    const peer = certificate ? identityOf(certificate) : null;
    if (!certificate || peer === null) return null;
    return new SecureChannel(socket, own, peer, followedBy(certificate, peer), dialled);
  }

  /** Whether the other end is who had this key, or has it. */
  isOf(identity: Identity): boolean {
    return this.peer === identity || this.peerBefore.includes(identity);
  }

  /**
   * Proves that the end which dialled knows the secret. It holds for this connection alone: it is made of what only its two ends can
   * work out (RFC 5705; RFC 8446, 7.5) and of both keys, so nobody in the middle can pass it on, and nobody can use it again.
   */
  proofOf(secret: Uint8Array): Buffer {
    const [guest, host] = this.dialled ? [this.own, this.peer] : [this.peer, this.own];
    const exported = this.socket.exportKeyingMaterial(EXPORT_BYTES, EXPORT_LABEL, Buffer.alloc(0));
    return createHmac('sha256', secret).update(exported).update(guest, 'hex').update(host, 'hex').digest();
  }

  proves(proof: Uint8Array, secret: Uint8Array): boolean {
    return proof.length === PROOF_BYTES && timingSafeEqual(proof, this.proofOf(secret));
  }
}

// key-succession.ts — how a site gets another key and stays who it is: each key says, signed, which one takes its place, and the certificate of
// the last one carries these sayings (as URIs in its subjectAltName, which TLS transports and nobody else reads).
// Invariant: a key is followed only by one that it named itself. Whoever knows any of the keys before knows the site by them, also when it
// missed the register that names the new key. That a key is no longer a site's is said by the registers alone: until a site has these, it
// speaks with who holds the old one, or a key that the old one named.

import { createHash, createPrivateKey, createPublicKey, sign, verify } from 'node:crypto';
import type { X509Certificate } from 'node:crypto';

/** Of an Ed25519 key as SubjectPublicKeyInfo (RFC 8410), and of a signature. */
const SPKI_BYTES = 44;
const SIGNATURE_BYTES = 64;
/** As many are carried; who knows only an older one needs an invite. */
const MAX_SUCCESSIONS = 16;
const SCHEME = 'weft-key:';
const URI = /URI:weft-key:([A-Za-z0-9_-]+)/g;

/** A key names the next one. */
export interface Succession {
  /** The key that is followed. */
  readonly spki: Buffer;
  /** Its signature of which identity follows. */
  readonly signature: Buffer;
}

function statement(identity: string): Buffer {
  return Buffer.from(`weft: this key is followed by ${identity}`, 'latin1');
}

/** What the certificate of the key with this identity carries so that `old`, and those that it followed, are followed by it. */
export function succession(old: { privateKey: string; certificate: X509Certificate }, identity: string): Succession[] {
  const spki = createPublicKey(createPrivateKey(old.privateKey)).export({ type: 'spki', format: 'der' });
  const signature = sign(null, statement(identity), createPrivateKey(old.privateKey));
  return [...successionsIn(old.certificate), { spki, signature }].slice(-MAX_SUCCESSIONS);
}

export function successionUri({ spki, signature }: Succession): string {
  return SCHEME + Buffer.concat([spki, signature]).toString('base64url');
}

function successionsIn(certificate: X509Certificate): Succession[] {
  const found: Succession[] = [];
  for (const [, text] of (certificate.subjectAltName ?? '').matchAll(URI)) {
    const bytes = Buffer.from(text!, 'base64url');
    if (bytes.length !== SPKI_BYTES + SIGNATURE_BYTES) return [];
    found.push({ spki: bytes.subarray(0, SPKI_BYTES), signature: bytes.subarray(SPKI_BYTES) });
    if (found.length > MAX_SUCCESSIONS) return [];
  }
  return found;
}

/**
 * The identities that the key of a certificate followed, the latest first, as far as each key named the next one.
 * @param identity of the certificate's key, whose private one its bearer proved to have
 */
export function followedBy(certificate: X509Certificate, identity: string): string[] {
  const followed: string[] = [];
  let next = identity;
  for (const { spki, signature } of successionsIn(certificate).toReversed()) {
    if (!isSigned(spki, statement(next), signature)) break;
    next = createHash('sha256').update(spki).digest('hex');
    followed.push(next);
  }
  return followed;
}

function isSigned(spki: Buffer, text: Buffer, signature: Buffer): boolean {
  let key;
  try {
    key = createPublicKey({ key: spki, format: 'der', type: 'spki' });
  } catch {
    return false; // bytes that are no key
  }
  return key.asymmetricKeyType === 'ed25519' && verify(null, text, key, signature);
}

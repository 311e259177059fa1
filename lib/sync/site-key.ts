// site-key.ts — the key pair of a site, and the certificate that carries the public one in TLS (RFC 8446, RFC 8410, RFC 5280).
// A site is known by its identity: the SHA-256 of its public key. The certificate is signed with the key itself and says nothing
// else; nobody looks at its names or dates. Who the identity belongs to is said by the volume's registers: crdt/members.ts.

import { createHash, createPrivateKey, createPublicKey, generateKeyPairSync, sign, X509Certificate } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { succession, successionUri } from './key-succession.js';

/** 64 lower-case hex digits: SHA-256 of a public key as SubjectPublicKeyInfo. */
export type Identity = string;

export interface SiteKey {
  readonly identity: Identity;
  /** PEM: PKCS #8. Never leaves the site. */
  readonly privateKey: string;
  /** PEM. */
  readonly certificate: string;
}

const ED25519 = '1.3.101.112';
const COMMON_NAME = '2.5.4.3';

/** A new Ed25519 key. What writes certificates is loaded for this alone: a site makes few keys in its life. */
export function makeSiteKey(): Promise<SiteKey> {
  return makeKey(null);
}

/** A new key in the place of this one: see key-succession.ts. */
export function makeNextKey(old: SiteKey): Promise<SiteKey> {
  return makeKey(old);
}

async function makeKey(old: SiteKey | null): Promise<SiteKey> {
  const { AsnConvert, OctetString } = await import('@peculiar/asn1-schema');
  const x509 = await import('@peculiar/asn1-x509');
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  const algorithm = new x509.AlgorithmIdentifier({ algorithm: ED25519 });
  const value = new x509.AttributeValue({ utf8String: 'weft' });
  const name = new x509.Name([
    new x509.RelativeDistinguishedName([new x509.AttributeTypeAndValue({ type: COMMON_NAME, value })]),
  ]);
  const identity = identityOfKey(publicKey);
  const before = old && { privateKey: old.privateKey, certificate: new X509Certificate(old.certificate) };
  const uris = before ? succession(before, identity).map(successionUri) : [];
  const names = uris.map((uniformResourceIdentifier) => new x509.GeneralName({ uniformResourceIdentifier }));
  const extensions = new x509.Extensions([
    new x509.Extension({
      extnID: x509.id_ce_subjectAltName,
      extnValue: new OctetString(AsnConvert.serialize(new x509.SubjectAlternativeName(names))),
    }),
  ]);
  const tbsCertificate = new x509.TBSCertificate({
    ...(names.length > 0 && { extensions }),
    version: x509.Version.v3,
    serialNumber: Uint8Array.of(1).buffer,
    signature: algorithm,
    issuer: name,
    subject: name,
    // "No well-defined expiration date": RFC 5280, 4.1.2.5.
    validity: new x509.Validity({ notBefore: new Date(0), notAfter: new Date('9999-12-31T23:59:59Z') }),
    subjectPublicKeyInfo: AsnConvert.parse(spkiOf(publicKey), x509.SubjectPublicKeyInfo),
  });
  const signature = sign(null, Buffer.from(AsnConvert.serialize(tbsCertificate)), privateKey);
  const certificate = new x509.Certificate({
    tbsCertificate,
    signatureAlgorithm: algorithm,
    signatureValue: Uint8Array.from(signature).buffer,
  });
  return {
    identity,
    privateKey: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    certificate: new X509Certificate(Buffer.from(AsnConvert.serialize(certificate))).toString(),
  };
}

/** As one text: what {@link parseSiteKey} takes. */
export function formatSiteKey({ privateKey, certificate }: SiteKey): string {
  return privateKey + certificate;
}

/** Throws an Error that says what is wrong with it. */
export function parseSiteKey(text: string): SiteKey {
  const [privateKey, certificate] = text.match(/-----BEGIN [A-Z ]+-----[^-]+-----END [A-Z ]+-----\n/g) ?? [];
  if (privateKey === undefined || certificate === undefined) throw new Error('it lacks a private key or a certificate');
  const identity = identityOf(new X509Certificate(certificate));
  if (identity === null || identity !== identityOfKey(createPublicKey(createPrivateKey(privateKey)))) {
    throw new Error('key and certificate do not belong together');
  }
  return { identity, privateKey, certificate };
}

/** null: the certificate is of a kind of key that Node cannot read. */
export function identityOf(certificate: X509Certificate): Identity | null {
  try {
    return identityOfKey(certificate.publicKey);
  } catch {
    return null;
  }
}

function identityOfKey(publicKey: KeyObject): Identity {
  return createHash('sha256').update(spkiOf(publicKey)).digest('hex');
}

function spkiOf(publicKey: KeyObject): Buffer {
  return publicKey.export({ type: 'spki', format: 'der' });
}

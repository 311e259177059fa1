// invite.ts — an invite as text: weft://HOST:PORT[,HOST:PORT…]/VOLUME#ID.TOKEN, all a guest needs to reach a site, to know it when it
// has reached it, and to prove that it was invited. ID is 5 bytes in base32 and public: it names the invite. TOKEN is the identity of
// the site, a secret of 16 bytes that never travels, and a 7-byte checksum of the whole invite, so that one that was mistyped or cut
// off is recognised before anything is dialled.

import { createHash, timingSafeEqual } from 'node:crypto';
import { formatAddress, parseAddress } from './address.js';
import { decodeBase32, encodeBase32 } from './base32.js';
import type { Identity } from './site-key.js';

export const INVITE_ID_BYTES = 5;
export const INVITE_SECRET_BYTES = 16;
const IDENTITY_BYTES = 32;
const CHECKSUM_BYTES = 7;
const SECRET_END = IDENTITY_BYTES + INVITE_SECRET_BYTES;
const SCHEME = 'weft://';

export interface Invite {
  /** HOST:PORT of the site that gave it; at least one, to be tried in this order. */
  readonly addresses: readonly string[];
  readonly volume: string;
  /** 8 base32 digits. */
  readonly id: string;
  /** The site that gave it. */
  readonly identity: Identity;
  readonly secret: Uint8Array;
}

export function isInvite(text: string): boolean {
  return text.trimStart().slice(0, SCHEME.length).toLowerCase() === SCHEME;
}

export function formatInvite(invite: Invite): string {
  const { addresses, volume, id, identity, secret } = invite;
  const token = encodeBase32(Buffer.concat([Buffer.from(identity, 'hex'), secret, checksum(invite)]));
  return `${SCHEME}${addresses.join(',')}/${encodeURIComponent(volume)}#${id}.${token}`;
}

/** Throws an Error that says what is wrong with it and what to do. White space, as mail programs insert it, is ignored. */
export function parseInvite(text: string): Invite {
  const joined = text.replaceAll(/\s/g, '');
  if (!isInvite(joined)) throw wrong(`it does not start with ${SCHEME}`);
  const [place = '', proof] = splitOnce(joined.slice(SCHEME.length), '#');
  if (!proof) throw wrong('it is cut off: the part after # is missing');
  const [addressText = '', volumeText] = splitOnce(place, '/');
  if (!volumeText) throw wrong('the name of the volume is missing');
  const [id = '', token] = splitOnce(proof.toLowerCase(), '.');
  const idBytes = decodeBase32(id);
  if (token === undefined) throw wrong('it is cut off: the part after the last dot is missing');
  const bytes = decodeBase32(token);
  if (idBytes?.length !== INVITE_ID_BYTES || bytes?.length !== SECRET_END + CHECKSUM_BYTES) {
    throw wrong('it is cut off or mistyped: the part after # is not 8 and 88 letters and digits');
  }
  const invite: Invite = {
    addresses: addressText.split(',').map((address) => formatAddress(parseAddress(address))),
    volume: decodeVolume(volumeText),
    id: encodeBase32(idBytes),
    identity: Buffer.from(bytes.subarray(0, IDENTITY_BYTES)).toString('hex'),
    secret: bytes.subarray(IDENTITY_BYTES, SECRET_END),
  };
  if (!timingSafeEqual(checksum(invite), bytes.subarray(SECRET_END))) {
    throw wrong('its checksum does not match: a character was mistyped');
  }
  return invite;
}

function checksum({ addresses, volume, id, identity, secret }: Invite): Buffer {
  const hash = createHash('sha256');
  for (const part of ['weft invite', addresses.join(','), volume, id, identity]) hash.update(part).update('\0');
  return hash.update(secret).digest().subarray(0, CHECKSUM_BYTES);
}

function decodeVolume(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw wrong('the name of the volume is garbled');
  }
}

function splitOnce(text: string, separator: string): [string, string?] {
  const at = text.indexOf(separator);
  return at < 0 ? [text] : [text.slice(0, at), text.slice(at + 1)];
}

function wrong(what: string): Error {
  return new Error(`this is no invite: ${what}; copy it again, whole, as weft invite printed it`);
}

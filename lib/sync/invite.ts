// invite.ts — an invite as text: weft://HOST:PORT/VOLUME#ID.SECRET, all a guest needs to reach a site and prove that it was invited.
// ID is 5 bytes in base32 and public: it names the invite in the key exchange. SECRET is 16 bytes that never travel, followed by a
// 4-byte checksum of the whole invite, so that one that was mistyped or cut off is recognised before anything is dialled.

import { createHash, timingSafeEqual } from 'node:crypto';
import { formatAddress, parseAddress } from './address.js';
import { decodeBase32, encodeBase32 } from './base32.js';

export const INVITE_ID_BYTES = 5;
export const INVITE_SECRET_BYTES = 16;
const CHECKSUM_BYTES = 4;

export interface Invite {
  /** HOST:PORT of the site that gave it. */
  readonly address: string;
  readonly volume: string;
  /** 8 base32 digits. */
  readonly id: string;
  readonly secret: Uint8Array;
}

export function formatInvite(invite: Invite): string {
  const token = encodeBase32(Buffer.concat([invite.secret, checksum(invite)]));
  return `weft://${invite.address}/${encodeURIComponent(invite.volume)}#${invite.id}.${token}`;
}

/** Throws an Error that says what is wrong with it and what to do. White space, as mail programs insert it, is ignored. */
export function parseInvite(text: string): Invite {
  const joined = text.replaceAll(/\s/g, '');
  const scheme = /^([a-z][a-z0-9+.-]*):\/\//i.exec(joined)?.[1];
  if (scheme?.toLowerCase() !== 'weft') throw wrong('it does not start with weft://');
  const [place = '', proof] = splitOnce(joined.slice('weft://'.length), '#');
  if (!proof) throw wrong('it is cut off: the part after # is missing');
  const [addressText = '', volumeText] = splitOnce(place, '/');
  if (!volumeText) throw wrong('the name of the volume is missing');
  const [id = '', token] = splitOnce(proof.toLowerCase(), '.');
  const idBytes = decodeBase32(id);
  if (token === undefined) throw wrong('it is cut off: the part after the last dot is missing');
  const bytes = decodeBase32(token);
  if (idBytes?.length !== INVITE_ID_BYTES || bytes?.length !== INVITE_SECRET_BYTES + CHECKSUM_BYTES) {
    throw wrong('it is cut off or mistyped: the part after # is not 8 and 32 letters and digits');
  }
  const invite: Invite = {
    address: formatAddress(parseAddress(addressText)),
    volume: decodeVolume(volumeText),
    id: encodeBase32(idBytes),
    secret: bytes.subarray(0, INVITE_SECRET_BYTES),
  };
  if (!timingSafeEqual(checksum(invite), bytes.subarray(INVITE_SECRET_BYTES))) {
    throw wrong('its checksum does not match: a character was mistyped');
  }
  return invite;
}

function checksum({ address, volume, id, secret }: Invite): Buffer {
  const hash = createHash('sha256');
  for (const part of ['weft invite', address, volume, id]) hash.update(part).update('\0');
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

// wire-text.ts — names, addresses and reasons on the wire. Pure.
// Text ends up on a user's terminal: what is no UTF-8, or holds control characters, is a CorruptionError.

import { isUtf8 } from 'node:buffer';
import { type ByteReader, type ByteWriter, CorruptionError } from '../codec/bytes.js';
import { isDialable } from './address.js';

export const MAX_NAME_BYTES = 255;
export const MAX_ADDRESS_BYTES = 300;

export function putText(out: ByteWriter, text: string, maxBytes: number): void {
  const bytes = Buffer.from(text, 'utf8');
  if (bytes.length > maxBytes) throw new RangeError(`text of ${bytes.length} bytes, at most ${maxBytes}: ${text}`);
  out.bytes(bytes);
}

// eslint-disable-next-line no-control-regex -- control characters are what it looks for
export const CONTROL_CHARACTERS = /[\u0000-\u001f\u007f-\u009f]/;

/** Whether a name can be told to peers. */
export function isWireName(name: string): boolean {
  return name !== '' && Buffer.byteLength(name) <= MAX_NAME_BYTES && !CONTROL_CHARACTERS.test(name);
}

export function readText(reader: ByteReader, what: string, maxBytes: number): string {
  const bytes = reader.bytes(what, maxBytes);
  if (!isUtf8(bytes)) throw new CorruptionError(`${what} is not UTF-8`);
  const text = bytes.toString('utf8');
  if (CONTROL_CHARACTERS.test(text)) throw new CorruptionError(`${what} holds control characters`);
  return text;
}

/** Where a site listens: it will be dialled; '' when it does not. */
export function readAddress(reader: ByteReader, what: string): string {
  const address = readText(reader, what, MAX_ADDRESS_BYTES);
  if (address !== '' && !isDialable(address)) throw new CorruptionError(`${what} ${JSON.stringify(address)} is none`);
  return address;
}

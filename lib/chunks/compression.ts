// compression.ts — whether an object is stored compressed, and how: raw DEFLATE (RFC 1951), level 1.
// Only chunks of some length are tried, and only after a probe of their first bytes: what is compressed already (media,
// archives) costs the probe alone. Names are given to the raw bytes, so nothing outside a pack depends on any of this.

import { deflateRawSync, inflateRawSync } from 'node:zlib';
import { CorruptionError } from '../codec/bytes.js';
import { ObjectKind } from './object-kind.js';

const PROBE_BYTES = 4096;
/** Below this the probe costs more than writing the bytes. */
const MIN_BYTES = 16_384;
/** Compression has to save this share. */
const MIN_GAIN = 0.1;
const OPTIONS = { level: 1 };

/** The compressed bytes, or null when they are not worth it. */
export function compress(kind: ObjectKind, bytes: Uint8Array): Buffer | null {
  if (kind !== ObjectKind.chunk || bytes.length < MIN_BYTES) return null;
  const probe = bytes.subarray(0, PROBE_BYTES);
  if (looksRandom(probe) || !pays(deflateRawSync(probe, OPTIONS).length, PROBE_BYTES)) return null;
  const compressed = deflateRawSync(bytes, OPTIONS);
  return pays(compressed.length, bytes.length) ? compressed : null;
}

/**
 * Whether bytes are spread so evenly that DEFLATE is not worth trying: the sum of squared counts, which is n²/256 + n for random
 * bytes, four times that for base64, more for text. Costs a tenth of a DEFLATE of the same bytes.
 */
function looksRandom(bytes: Uint8Array): boolean {
  const counts = new Uint16Array(256);
  for (let i = 0; i < bytes.length; i++) counts[bytes[i]!]!++;
  let squares = 0;
  for (let i = 0; i < 256; i++) squares += counts[i]! * counts[i]!;
  return squares < 1.25 * (bytes.length ** 2 / 256 + bytes.length);
}

function pays(compressed: number, raw: number): boolean {
  return compressed <= raw * (1 - MIN_GAIN);
}

/** The `raw` bytes of what {@link compress} gave. CorruptionError, naming `what`, when they are not that. */
export function decompress(compressed: Uint8Array, raw: number, what: string): Buffer {
  let bytes: Buffer;
  try {
    bytes = inflateRawSync(compressed, { maxOutputLength: Math.max(raw, 1) });
  } catch (error) {
    throw new CorruptionError(`${what}: ${(error as Error).message}`);
  }
  if (bytes.length !== raw) throw new CorruptionError(`${what}: decompressed to ${bytes.length} bytes, not ${raw}`);
  return bytes;
}

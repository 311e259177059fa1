// contents.ts — what simulated callers write: bytes that tell who wrote them, and when.
// Every write has a mark of its own, `<oslo:12>`, at its start, at its end and in between; so any file says whose bytes it holds.

import { crc32 } from 'node:zlib';
import { Random } from './random.js';

const POOL_BYTES = 1 << 20;
const MARK_EVERY_BYTES = 16 << 10;
const MARK = /<[a-z]+:\d+>/g;

let pool: Buffer | undefined;

/** Bytes that are cut into chunks like those of real files. Without '<', so that no mark comes about by chance. */
function noise(): Buffer {
  if (pool) return pool;
  const random = new Random('noise');
  pool = Buffer.alloc(POOL_BYTES);
  for (let i = 0; i < POOL_BYTES; i++) pool[i] = 64 + random.below(192);
  return pool;
}

/** `sizeBytes` bytes, at least those of the mark. */
export function marked(mark: string, sizeBytes: number): Buffer {
  const size = Math.max(sizeBytes, mark.length);
  const source = noise();
  const from = crc32(mark) % (POOL_BYTES / 2);
  const bytes = Buffer.alloc(size);
  for (let at = 0; at < size; at += POOL_BYTES / 2)
    source.copy(bytes, at, from, from + Math.min(POOL_BYTES / 2, size - at));
  for (let at = 0; at + mark.length <= size; at += MARK_EVERY_BYTES) bytes.write(mark, at, 'latin1');
  bytes.write(mark, size - mark.length, 'latin1');
  return bytes;
}

export function marksIn(bytes: Buffer): Set<string> {
  return new Set(bytes.toString('latin1').match(MARK) ?? []);
}

/** Tells contents apart, well enough for a test. */
export function fingerprint(bytes: Buffer): string {
  return `${bytes.length}-${crc32(bytes).toString(16)}`;
}

// intent-segment.ts — reading a segment of the intent log (intent-log.ts), and what a damaged one still tells.
// Invariant: what is returned is a prefix of what was appended. A record whose sum is wrong by one flipped bit is put right; one that
// is damaged further ends the prefix, and where records follow it nothing but the disk can have done that: it is told, for what a
// power failure leaves ends there too.
//
// Segment file `<first lsn, 14 hex digits>.seg`:
//   header   "WEFTLOG1"  u64 first lsn  u32 salt  u32 crc32 of the 20 bytes before
//   record   u32 length of kind and payload  u32 crc32(kind and payload, seeded with salt ^ lsn)  u8 kind  payload

import { readFileSync } from 'node:fs';
import { crc32 } from 'node:zlib';
import { flippedBit, isSingleBit } from '../codec/flipped-bit.js';

/** Position in the log: 1, 2, 3 … over its whole life. */
export type Lsn = number;

export interface IntentRecord {
  readonly lsn: Lsn;
  readonly kind: number;
  /** Valid as long as the caller keeps it: a view on a copy of the segment. */
  readonly payload: Buffer;
}

export const SEGMENT_MAGIC = Buffer.from('WEFTLOG1', 'latin1');
export const HEADER_BYTES = 24;
export const PREFIX_BYTES = 8;
export const RECORD_OVERHEAD = PREFIX_BYTES + 1;
const SUMMED_HEADER_BYTES = 20;
const LENGTH_BITS = 32;

export interface SegmentContent {
  readonly firstLsn: Lsn;
  readonly records: IntentRecord[];
  /** The file, as it should be. */
  readonly bytes: Buffer;
  /** What was wrong with it, in words. */
  readonly healed: string[];
  /** What is wrong with the record that ends it too early; undefined when the end is one that the writer may have left. */
  readonly damage: string | undefined;
}

/** The records of a segment file; undefined when its header is not that of the segment it is named for. */
export function readSegment(path: string): SegmentContent | undefined {
  const bytes = readFileSync(path);
  const healed: string[] = [];
  if (bytes.length < HEADER_BYTES || !readHeader(bytes, healed)) return undefined;
  const firstLsn = bytes.readUInt32LE(8) + bytes.readUInt32LE(12) * 2 ** 32;
  if (!path.endsWith(`${firstLsn.toString(16).padStart(14, '0')}.seg`)) return undefined;
  const salt = bytes.readUInt32LE(16);

  const records: IntentRecord[] = [];
  const segment = new Segment(bytes, salt);
  let at = HEADER_BYTES;
  for (let lsn = firstLsn; at + RECORD_OVERHEAD <= bytes.length; lsn++) {
    if (!segment.isRecord(at, lsn)) {
      if (!segment.heal(at, lsn)) {
        return { firstLsn, records, bytes, healed, damage: segment.damage(at, lsn) };
      }
      healed.push(`operation ${lsn}: one bit was flipped, and was flipped back`);
    }
    const end = segment.endOf(at);
    records.push({ lsn, kind: bytes[at + PREFIX_BYTES]!, payload: bytes.subarray(at + RECORD_OVERHEAD, end) });
    at = end;
  }
  return { firstLsn, records, bytes, healed, damage: undefined };
}

/** Puts right one flipped bit. */
function readHeader(bytes: Buffer, healed: string[]): boolean {
  const difference = crc32(bytes.subarray(0, SUMMED_HEADER_BYTES)) ^ bytes.readUInt32LE(SUMMED_HEADER_BYTES);
  if (isSingleBit(difference)) {
    bytes.writeUInt32LE((bytes.readUInt32LE(SUMMED_HEADER_BYTES) ^ difference) >>> 0, SUMMED_HEADER_BYTES); // the sum itself
  } else if (difference !== 0) {
    const bit = flippedBit(difference, SUMMED_HEADER_BYTES);
    if (bit === undefined) return false;
    flip(bytes, bit);
  }
  if (SEGMENT_MAGIC.compare(bytes, 0, 8) !== 0) return false;
  if (difference !== 0) healed.push('its header: one bit was flipped, and was flipped back');
  return true;
}

class Segment {
  constructor(
    private readonly bytes: Buffer,
    private readonly salt: number,
  ) {}

  /** One past the record at `at`, by what it says of its length. */
  endOf(at: number): number {
    return at + PREFIX_BYTES + this.bytes.readUInt32LE(at);
  }

  isRecord(at: number, lsn: Lsn): boolean {
    return this.hasBody(at) && this.difference(at, lsn) === 0;
  }

  private hasBody(at: number): boolean {
    if (at + RECORD_OVERHEAD > this.bytes.length) return false;
    const end = this.endOf(at);
    return end >= at + RECORD_OVERHEAD && end <= this.bytes.length;
  }

  private difference(at: number, lsn: Lsn): number {
    const body = this.bytes.subarray(at + PREFIX_BYTES, this.endOf(at));
    return crc32(body, (this.salt ^ lsn) >>> 0) ^ this.bytes.readUInt32LE(at + 4);
  }

  /** Flips one bit of the record back, if that makes it whole and the log goes on, or ends, behind it. */
  heal(at: number, lsn: Lsn): boolean {
    const { bytes } = this;
    if (this.hasBody(at)) {
      const difference = this.difference(at, lsn);
      const start = at + PREFIX_BYTES;
      const bit = flippedBit(difference, this.endOf(at) - start);
      if ((bit !== undefined || isSingleBit(difference)) && this.goesOn(this.endOf(at), lsn + 1)) {
        if (bit !== undefined) flip(bytes, start * 8 + bit);
        else bytes.writeUInt32LE((bytes.readUInt32LE(at + 4) ^ difference) >>> 0, at + 4); // the sum itself
        return true;
      }
    }
    for (let bit = 0; bit < LENGTH_BITS; bit++) {
      flip(bytes, at * 8 + bit);
      if (this.isRecord(at, lsn)) return true;
      flip(bytes, at * 8 + bit);
    }
    return false;
  }

  private goesOn(at: number, lsn: Lsn): boolean {
    return at + RECORD_OVERHEAD > this.bytes.length || this.bytes.readUInt32LE(at) === 0 || this.isRecord(at, lsn);
  }

  /** Why the record at `at` cannot be the end that a crash left: the next one is whole. */
  damage(at: number, lsn: Lsn): string | undefined {
    if (!this.hasBody(at) || !this.isRecord(this.endOf(at), lsn + 1)) return undefined;
    return `operation ${lsn} is damaged, and operations that were acknowledged follow it`;
  }
}

function flip(bytes: Buffer, bit: number): void {
  bytes[bit >>> 3]! ^= 1 << (bit & 7);
}

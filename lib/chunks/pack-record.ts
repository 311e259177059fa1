// pack-record.ts — the bytes of a pack: a file header, then one record per object. Pure.
//
//   file header   'WEFTPACK', version u32 = 1, CRC-32 of these 12 bytes
//   record        magic u32, kind u8, flags u8, stored u32, raw u32, id 32 bytes, CRC-32 of these 46 bytes, data (stored bytes)
//
// The CRC guards the header; the data are guarded by the id, which is the SHA-256 of the raw bytes.

import { crc32 } from 'node:zlib';
import { CorruptionError } from '../codec/bytes.js';
import type { ObjectId } from '../crdt/ids.js';
import { decompress } from './compression.js';
import { isObjectKind, maxObjectBytes, verifyObject } from './object-kind.js';
import type { ObjectKind } from './object-kind.js';

export const PACK_HEADER_BYTES = 16;
export const RECORD_HEADER_BYTES = 50;
/** The data are raw DEFLATE. */
export const FLAG_DEFLATE = 1;
/** The first bytes of every record. */
export const RECORD_MAGIC = Buffer.from('WREC', 'latin1');

const PACK_MAGIC = 'WEFTPACK';
const PACK_VERSION = 1;
const CRC_AT = RECORD_HEADER_BYTES - 4;
const ID_AT = 14;
const MAGIC_U32 = RECORD_MAGIC.readUInt32LE(0);

export interface RecordHeader {
  readonly kind: ObjectKind;
  readonly flags: number;
  readonly stored: number;
  readonly raw: number;
  readonly id: ObjectId;
}

export function encodePackHeader(): Buffer {
  const header = Buffer.alloc(PACK_HEADER_BYTES);
  header.write(PACK_MAGIC, 'latin1');
  header.writeUInt32LE(PACK_VERSION, 8);
  header.writeUInt32LE(crc32(header.subarray(0, 12)), 12);
  return header;
}

/** CorruptionError unless these are the first bytes of a pack that this software reads. */
export function checkPackHeader(bytes: Buffer, where: string): void {
  if (bytes.length < PACK_HEADER_BYTES || bytes.toString('latin1', 0, 8) !== PACK_MAGIC) {
    throw new CorruptionError(`${where}: not a pack`);
  }
  if (bytes.readUInt32LE(12) !== crc32(bytes.subarray(0, 12))) {
    throw new CorruptionError(`${where}: damaged pack header`);
  }
  const version = bytes.readUInt32LE(8);
  if (version !== PACK_VERSION) {
    throw new CorruptionError(`${where}: pack version ${version}, this software reads ${PACK_VERSION}`);
  }
}

/** Writes a record's header at `at`; its id is given as 64 hex digits. */
export function encodeRecordHeader(into: Buffer, at: number, header: RecordHeader): void {
  into.writeUInt32LE(MAGIC_U32, at);
  into[at + 4] = header.kind;
  into[at + 5] = header.flags;
  into.writeUInt32LE(header.stored, at + 6);
  into.writeUInt32LE(header.raw, at + 10);
  into.write(header.id, at + ID_AT, 32, 'hex');
  into.writeUInt32LE(crc32(into.subarray(at, at + CRC_AT)), at + CRC_AT);
}

/** The header at `at`; undefined when what is there is none, or damaged. */
export function decodeRecordHeader(bytes: Buffer, at: number): RecordHeader | undefined {
  if (at + RECORD_HEADER_BYTES > bytes.length || bytes.readUInt32LE(at) !== MAGIC_U32) return undefined;
  if (bytes.readUInt32LE(at + CRC_AT) !== crc32(bytes.subarray(at, at + CRC_AT))) return undefined;
  const kind = bytes[at + 4]!;
  const flags = bytes[at + 5]!;
  const stored = bytes.readUInt32LE(at + 6);
  const raw = bytes.readUInt32LE(at + 10);
  if (!isObjectKind(kind) || (flags & ~FLAG_DEFLATE) !== 0 || raw > maxObjectBytes(kind) || stored > raw) {
    return undefined;
  }
  return { kind, flags, stored, raw, id: bytes.toString('hex', at + ID_AT, at + ID_AT + 32) };
}

/** The object in a record's data, verified. A view on `data` where it is not compressed. */
export function decodeRecordData(header: RecordHeader, data: Buffer, where: string): Buffer {
  const bytes = header.flags & FLAG_DEFLATE ? decompress(data, header.raw, `object ${header.id} in ${where}`) : data;
  verifyObject(header.id, bytes, where);
  return bytes;
}

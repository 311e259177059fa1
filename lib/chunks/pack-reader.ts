// pack-reader.ts — reads single objects out of packs, verified. Keeps a bounded number of packs open.
// What it returns is always what the id names; anything else is a CorruptionError, whatever the disk did.

import { closeSync, openSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { LRUCache } from 'lru-cache';
import { CorruptionError } from '../codec/bytes.js';
import { decodeRecordData, decodeRecordHeader, RECORD_HEADER_BYTES } from './pack-record.js';
import type { RecordHeader } from './pack-record.js';
import type { PackedObject } from './pack.js';

const OPEN_PACKS = 64;
/** What the disk answers when it has lost the bytes, as against a limit of this process. */
const LOST_CODES = new Set(['ENOENT', 'EIO', 'EUCLEAN', 'EBADMSG', 'ENODATA']);

/** What the object takes in its pack. */
export function recordBytes({ stored }: PackedObject): number {
  return RECORD_HEADER_BYTES + stored;
}

export class PackReader {
  private readonly directory: string;
  private readonly open = new LRUCache<string, number>({ max: OPEN_PACKS, dispose: (fd) => closeSync(fd) });

  constructor(directory: string) {
    this.directory = directory;
  }

  /**
   * The object's bytes, in a buffer of their own, or in `into`, which has room for {@link recordBytes}. CorruptionError when the pack does not
   * hold them (any more).
   */
  read(object: PackedObject, into?: Buffer): Buffer {
    const { header, data } = this.checkedRecord(object, into);
    return decodeRecordData(header, data, object.pack);
  }

  /** A record's header and its data as they are stored, verified. CorruptionError as {@link read}. */
  readRecord(object: PackedObject): { header: RecordHeader; data: Buffer } {
    const { header, data } = this.checkedRecord(object);
    decodeRecordData(header, data, object.pack);
    return { header, data };
  }

  private checkedRecord(object: PackedObject, into?: Buffer): { header: RecordHeader; data: Buffer } {
    const record = this.record(object, into);
    const header = decodeRecordHeader(record, 0);
    if (!header || header.id !== object.id || header.stored !== object.stored || header.kind !== object.kind) {
      throw new CorruptionError(`object ${object.id}: no such record in ${object.pack} at ${object.offset}`);
    }
    return { header, data: record.subarray(RECORD_HEADER_BYTES) };
  }

  private record(object: PackedObject, into?: Buffer): Buffer {
    const length = recordBytes(object);
    const record = into ? into.subarray(0, length) : Buffer.allocUnsafeSlow(length);
    let done = 0;
    try {
      const fd = this.descriptor(object.pack);
      while (done < record.length) {
        const count = readSync(fd, record, done, record.length - done, object.offset + done);
        if (count === 0) break;
        done += count;
      }
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      if (code === undefined || !LOST_CODES.has(code)) throw error;
      throw new CorruptionError(`object ${object.id}: ${message}`);
    }
    if (done < record.length) throw new CorruptionError(`object ${object.id}: ${object.pack} ends too early`);
    return record;
  }

  private descriptor(pack: string): number {
    let fd = this.open.get(pack);
    if (fd === undefined) {
      fd = openSync(join(this.directory, pack), 'r');
      this.open.set(pack, fd);
    }
    return fd;
  }

  /** Closes these packs: removed ones give their space back then. */
  forget(packs: Iterable<string>): void {
    for (const pack of packs) this.open.delete(pack);
  }

  close(): void {
    this.open.clear();
  }
}

// record-batch.ts — records that go to a pack in one write, without being copied, on a thread of Node's pool.

import { writev } from 'node:fs';
import { promisify } from 'node:util';
import { encodeRecordHeader, RECORD_HEADER_BYTES } from './pack-record.js';
import type { RecordHeader } from './pack-record.js';

/** Of one write: below IOV_MAX, 1024. */
const MAX_PARTS = 512;
const MAX_BYTES = 4 << 20;

const writeParts = promisify(writev);

export class RecordBatch {
  bytes = 0;
  private parts: Uint8Array[] = [];

  get isFull(): boolean {
    return this.parts.length >= MAX_PARTS || this.bytes >= MAX_BYTES;
  }

  /** `data` stays as it is until it was written. */
  add(header: RecordHeader, data: Uint8Array): void {
    const head = Buffer.allocUnsafe(RECORD_HEADER_BYTES);
    encodeRecordHeader(head, 0, header);
    this.parts.push(head, data);
    this.bytes += head.length + data.length;
  }

  /** Rejects with Node's error; what was written then is not to be built upon. */
  async write(fd: number, at: number): Promise<void> {
    let parts = this.parts;
    for (let done = 0; done < this.bytes;) {
      const { bytesWritten } = await writeParts(fd, parts, at + done);
      done += bytesWritten;
      parts = behind(parts, bytesWritten);
    }
  }

  clear(): void {
    this.parts = [];
    this.bytes = 0;
  }
}

/** What is left of the parts behind so many of their bytes. */
function behind(parts: readonly Uint8Array[], bytes: number): Uint8Array[] {
  let at = 0;
  while (at < parts.length && bytes >= parts[at]!.length) bytes -= parts[at++]!.length;
  return bytes === 0 ? parts.slice(at) : [parts[at]!.subarray(bytes), ...parts.slice(at + 1)];
}

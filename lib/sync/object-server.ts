// object-server.ts — one connection's queue of objects that the peer asked for. Pure.
// Invariant: at most MAX_QUEUED ids wait, READ_AHEAD objects are being read, and none is read while READ_AHEAD_BYTES wait to be sent.
// An object that is not held is reported absent at once, and announced when it arrives.

import { MAX_IDS, MAX_PAYLOAD_BYTES } from './message.js';
import { ProtocolError } from './protocol-error.js';
import type { ObjectId } from '../crdt/ids.js';
import type { ShippedObject } from './ports.js';

/** Ids that a peer may have asked for and not got yet. */
export const MAX_QUEUED = 4 * MAX_IDS;
const READ_AHEAD = 16;
const READ_AHEAD_BYTES = 2 * 1024 * 1024;
const BATCH_BYTES = 256 * 1024;
const BATCH_COUNT = 64;
/** Absences remembered; of those beyond, the peer learns by asking again. */
const MAX_REMEMBERED_ABSENT = 16_384;

export class ObjectServer {
  private readonly queued = new Set<ObjectId>();
  private readonly reading = new Set<ObjectId>();
  private readonly outbox: ShippedObject[] = [];
  private outboxBytes = 0;
  private readonly absentBox = new Set<ObjectId>();
  /** Came to be held while the store was being asked: its answer may be out of date. */
  private readonly arrivedWhileRead = new Set<ObjectId>();
  private readonly reportedAbsent = new Set<ObjectId>();
  private arrivedBox: ObjectId[] = [];

  /** The peer asks. Throws ProtocolError when it asks for more than it may. */
  want(ids: readonly ObjectId[]): void {
    for (const id of ids) {
      if (!this.reading.has(id)) this.queued.add(id);
      this.reportedAbsent.delete(id);
    }
    if (this.queued.size > MAX_QUEUED) throw new ProtocolError(`asks for ${this.queued.size} objects at once`);
  }

  /** Ids to read now. */
  takeReads(): ObjectId[] {
    const ids: ObjectId[] = [];
    for (const id of this.queued) {
      if (this.reading.size >= READ_AHEAD || this.outboxBytes >= READ_AHEAD_BYTES) break;
      this.queued.delete(id);
      this.reading.add(id);
      ids.push(id);
    }
    return ids;
  }

  read(id: ObjectId, object: Omit<ShippedObject, 'id'> | undefined): void {
    this.reading.delete(id);
    const arrived = this.arrivedWhileRead.delete(id);
    if (object === undefined || object.bytes.length > MAX_PAYLOAD_BYTES) {
      (arrived ? this.queued : this.absentBox).add(id);
      return;
    }
    this.outbox.push({ ...object, id });
    this.outboxBytes += object.bytes.length;
  }

  /** The next batch to send: a full one, or all there is once nothing more is being read. */
  takeObjects(): ShippedObject[] {
    const full = this.outboxBytes >= BATCH_BYTES || this.outbox.length >= BATCH_COUNT;
    if (!full && this.reading.size > 0) return [];
    let count = 0;
    let bytes = 0;
    while (count < Math.min(BATCH_COUNT, this.outbox.length) && bytes < BATCH_BYTES) {
      bytes += this.outbox[count++]!.bytes.length;
    }
    this.outboxBytes -= bytes;
    return this.outbox.splice(0, count);
  }

  /** Whether takeObjects or takeReads would give more now. */
  get hasMore(): boolean {
    return this.outbox.length > 0 || this.queued.size > 0;
  }

  takeAbsent(): ObjectId[] {
    if (this.reading.size > 0 && this.absentBox.size < BATCH_COUNT) return [];
    const ids = [...this.absentBox];
    this.absentBox.clear();
    for (const id of ids) {
      if (this.reportedAbsent.size < MAX_REMEMBERED_ABSENT) this.reportedAbsent.add(id);
    }
    return ids;
  }

  /** These came to be held here. */
  arrived(ids: readonly ObjectId[]): void {
    for (const id of ids) {
      if (this.reading.has(id)) this.arrivedWhileRead.add(id);
      else if (this.absentBox.delete(id)) this.queued.add(id);
      else if (this.reportedAbsent.delete(id)) this.arrivedBox.push(id);
    }
  }

  /** Reported absent earlier, held now, not announced yet: at most MAX_IDS. */
  takeArrived(): ObjectId[] {
    return this.arrivedBox.splice(0, MAX_IDS);
  }
}

// parked-requests.ts — requests that wait for bytes which this site does not hold yet.
// Invariant: a parked request is in the table until it is resumed, failed or interrupted, each of which takes it out; the table holds at
// most so many requests and bytes. What is parked is a copy: the buffer that a request came in is used again at once. Pure.

import type { ObjectId } from '../crdt/ids.js';
import { decodeRequest, type Request } from './requests.js';

interface Parked {
  readonly request: Request;
  readonly bytes: number;
  /** What it still waits for. */
  readonly absent: Set<ObjectId>;
}

export class ParkedRequests {
  private readonly maxCount: number;
  private readonly maxBytes: number;
  private readonly byUnique = new Map<number, Parked>();
  private readonly byObject = new Map<ObjectId, Set<Parked>>();
  /** Parked requests by node. */
  private readonly counts = new Map<number, number>();
  private bytes = 0;

  constructor(maxCount: number, maxBytes: number) {
    this.maxCount = maxCount;
    this.maxBytes = maxBytes;
  }

  get count(): number {
    return this.byUnique.size;
  }

  /** Whether a request on this node is parked. */
  waitsOn(node: number): boolean {
    return this.counts.has(node);
  }

  /** Keeps a copy of a request until all of `ids` came. False when there is no room: the request must be failed. */
  park(request: Request, ids: readonly ObjectId[]): boolean {
    const whole = request.body.buffer.readUInt32LE(0);
    if (this.byUnique.size >= this.maxCount || this.bytes + whole > this.maxBytes) return false;
    const copy = Buffer.allocUnsafeSlow(whole);
    request.body.buffer.copy(copy, 0, 0, whole);
    const parked: Parked = { request: decodeRequest(copy, whole), bytes: whole, absent: new Set(ids) };
    this.byUnique.set(request.unique, parked);
    this.counts.set(request.node, (this.counts.get(request.node) ?? 0) + 1);
    this.bytes += whole;
    for (const id of parked.absent) {
      const waiting = this.byObject.get(id);
      if (waiting === undefined) this.byObject.set(id, new Set([parked]));
      else waiting.add(parked);
    }
    return true;
  }

  /** Takes out the requests that wait for nothing more now that these objects came. */
  arrived(ids: Iterable<ObjectId>): Request[] {
    const ready: Request[] = [];
    for (const id of ids) {
      for (const parked of this.byObject.get(id) ?? []) {
        parked.absent.delete(id);
        if (parked.absent.size === 0) ready.push(this.remove(parked));
      }
      this.byObject.delete(id);
    }
    return ready;
  }

  /** Takes out all requests that wait for any of these objects. */
  abandon(ids: Iterable<ObjectId>): Request[] {
    const given: Request[] = [];
    for (const id of ids) {
      for (const parked of this.byObject.get(id) ?? []) given.push(this.remove(parked));
    }
    return given;
  }

  /** Takes out a request by its unique. */
  take(unique: number): Request | undefined {
    const parked = this.byUnique.get(unique);
    return parked === undefined ? undefined : this.remove(parked);
  }

  private remove(parked: Parked): Request {
    const { unique, node } = parked.request;
    this.byUnique.delete(unique);
    const left = this.counts.get(node)! - 1;
    if (left === 0) this.counts.delete(node);
    else this.counts.set(node, left);
    this.bytes -= parked.bytes;
    for (const id of parked.absent) {
      const waiting = this.byObject.get(id);
      waiting?.delete(parked);
      if (waiting?.size === 0) this.byObject.delete(id);
    }
    return parked.request;
  }
}

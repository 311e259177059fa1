// credit.ts — how much may be under way on a connection, so that a slow or stalled peer costs a bounded amount of memory. Pure.
// The receiver opens with a window and gives back what it has dealt with (made durable). The sender sends while its balance is
// positive, so a message larger than the window still gets through: at most a window and one message are ever under way.

import { ProtocolError } from './protocol-error.js';
import type { ShippedChange, ShippedObject } from './ports.js';

export const CHANGE_WINDOW_BYTES = 4 * 1024 * 1024;
export const OBJECT_WINDOW_BYTES = 16 * 1024 * 1024;

/** Both ends count by content, not by frames: payload plus this for each change or object, however small. */
const ITEM_COST_BYTES = 64;

export function costOf(items: readonly (ShippedChange | ShippedObject)[]): number {
  let cost = 0;
  for (const { bytes } of items) cost += bytes.length + ITEM_COST_BYTES;
  return cost;
}

/** The sender's end. */
export class SendCredit {
  private balanceBytes: number;
  constructor(private readonly windowBytes: number) {
    this.balanceBytes = windowBytes;
  }

  get open(): boolean {
    return this.balanceBytes > 0;
  }

  /** Bytes sent and not yet dealt with by the receiver. */
  get underWayBytes(): number {
    return this.windowBytes - this.balanceBytes;
  }

  spend(costBytes: number): void {
    this.balanceBytes -= costBytes;
  }

  /** Throws ProtocolError when more comes back than was spent. */
  grant(bytes: number): void {
    if (bytes > this.underWayBytes) throw new ProtocolError(`gave ${bytes} bytes of credit for ${this.underWayBytes}`);
    this.balanceBytes += bytes;
  }
}

/** The receiver's end. */
export class ReceiveCredit {
  /** Received, and not granted again yet. */
  private heldBytes = 0;
  /** The part of it that is dealt with. */
  private owedBytes = 0;
  constructor(private readonly windowBytes: number) {}

  /** Throws ProtocolError when the sender had no credit left. */
  take(costBytes: number): void {
    if (this.heldBytes >= this.windowBytes) throw new ProtocolError(`sent ${costBytes} bytes without credit`);
    this.heldBytes += costBytes;
  }

  done(costBytes: number): void {
    this.owedBytes += costBytes;
  }

  /** What to grant now: 0 while it is not worth a message. */
  due(): number {
    if (this.owedBytes * 4 < this.windowBytes) return 0;
    const grant = this.owedBytes;
    this.owedBytes = 0;
    this.heldBytes -= grant;
    return grant;
  }
}

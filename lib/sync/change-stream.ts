// change-stream.ts — one connection's changes, both ways: what the peer holds, what is on its way to it, what it was told. Pure.
// Invariant: `acknowledged` ≤ what the peer made durable; what was sent counts only in `inFlight`, which dies with the connection.
// A site ships only what is durable there, so a change that comes from the peer also acknowledges itself.

import { ahead, covers, raise } from './version-vector.js';
import { MAX_ACTORS, MAX_PAYLOAD_BYTES } from './message.js';
import { ProtocolError } from './protocol-error.js';
import type { ActorId } from '../crdt/ids.js';
import type { VersionVector } from '../crdt/change.js';
import type { ShippedChange } from './ports.js';

export class ChangeStream {
  /** Durable at the peer, as it said. */
  readonly acknowledged = new Map<ActorId, number>();
  /** `acknowledged`, and what was sent on this connection. */
  readonly inFlight = new Map<ActorId, number>();
  /** What the peer knows to be durable here. */
  private readonly told = new Map<ActorId, number>();
  /** Changes received on this connection, durable here or not yet. */
  private readonly received = new Map<ActorId, number>();

  constructor(told: VersionVector, acknowledged: VersionVector) {
    raise(this.told, told);
    raise(this.received, told);
    this.acknowledge(acknowledged);
  }

  acknowledge(vector: VersionVector): void {
    raise(this.acknowledged, vector);
    raise(this.inFlight, vector);
    this.checkActors();
  }

  hasMore(durable: VersionVector): boolean {
    return !covers(this.inFlight, durable);
  }

  sent(changes: readonly ShippedChange[]): void {
    for (const { actor, seq, bytes } of changes) {
      const before = this.inFlight.get(actor) ?? 0;
      if (seq !== before + 1) throw new Error(`store gave change ${seq} of ${actor} to follow ${before}`);
      if (bytes.length > MAX_PAYLOAD_BYTES) {
        throw new ProtocolError(
          `change ${seq} of ${actor} has ${bytes.length} bytes; a link carries at most ${MAX_PAYLOAD_BYTES}`,
        );
      }
      this.inFlight.set(actor, seq);
      if (seq > (this.told.get(actor) ?? 0)) this.told.set(actor, seq);
    }
  }

  /** Those of the changes that this site lacks. Throws ProtocolError when one comes without those before it. */
  receive(changes: readonly ShippedChange[], durable: VersionVector): ShippedChange[] {
    const fresh: ShippedChange[] = [];
    for (const change of changes) {
      const { actor, seq } = change;
      const held = durable.get(actor) ?? 0;
      const top = Math.max(this.received.get(actor) ?? 0, held);
      if (seq > top + 1) throw new ProtocolError(`change ${seq} of actor ${actor} came without change ${top + 1}`);
      if (seq > top) fresh.push(change);
      if (seq > (this.received.get(actor) ?? 0)) this.received.set(actor, seq);
      if (seq > (this.acknowledged.get(actor) ?? 0)) this.acknowledged.set(actor, seq);
      if (seq > (this.inFlight.get(actor) ?? 0)) this.inFlight.set(actor, seq);
    }
    this.checkActors();
    return fresh;
  }

  /** One message names no more than that; many could, each others. */
  private checkActors(): void {
    if (this.inFlight.size > MAX_ACTORS) throw new ProtocolError(`named more than ${MAX_ACTORS} actors`);
  }

  /** What became durable here since the peer was last told; it counts as told from now on. */
  untold(durable: VersionVector): Map<ActorId, number> {
    const delta = ahead(durable, this.told);
    raise(this.told, delta);
    return delta;
  }
}

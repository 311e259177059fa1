// base-transfers.ts — which peer sends this site its base, when it lacks changes that are in no journal any more: one at a time.
// Invariant: an offer is taken up in turn, unless what it brings came meanwhile; a peer that sends nothing for long loses its turn. What
// is sent is the store's to check and to keep: it goes on where it was, with whoever has the same base.

import type { Connection } from './connection.js';
import { covers } from './version-vector.js';
import type { SyncStore } from './ports.js';
import type { Ino } from '../crdt/ids.js';
import type { BaseOffer, BasePart } from '../journal/base-part.js';

/** A peer that was asked for a part answers within so many ticks. */
const PATIENCE_TICKS = 60;

export class BaseTransfers {
  private readonly offers = new Map<Connection, BaseOffer>();
  private from: Connection | null = null;
  private waitedTicks = 0;
  /** Offers and parts that the store is at. */
  private storing = 0;
  /** Parts that were taken. */
  parts = 0;

  constructor(private readonly store: SyncStore) {}

  offered(connection: Connection, offer: BaseOffer): void {
    this.offers.set(connection, offer);
    if (this.from === connection) this.from = null; // its base is another one by now
    this.next();
  }

  /** Takes a part; one of a peer that lost its turn is of no use. */
  took(connection: Connection, part: BasePart): void {
    if (this.from !== connection || part.id !== this.offers.get(connection)?.id) return;
    this.goOn(connection, part.id, this.takePart(connection, part));
  }

  private async takePart(connection: Connection, part: BasePart): Promise<Ino | null> {
    const after = await this.store.storeBase(part, connection.peer.siteId);
    this.parts++;
    return after;
  }

  /** Whether this site is at what came: with the last part it takes all over, some 50 µs for each file. No peer is to blame for that. */
  get isTaking(): boolean {
    return this.storing > 0;
  }

  ended(connection: Connection): void {
    this.offers.delete(connection);
    if (this.from === connection) this.from = null;
    this.next();
  }

  /** A second passed. */
  tick(): void {
    if (this.from && !this.isTaking && ++this.waitedTicks > PATIENCE_TICKS) this.ended(this.from);
  }

  private next(): void {
    while (this.from === null && this.offers.size > 0) {
      const [connection, offer] = this.offers.entries().next().value!;
      if (covers(this.store.vector(), new Map(offer.actors.map(({ actor, seq }) => [actor, seq])))) {
        this.offers.delete(connection);
        continue;
      }
      this.from = connection;
      this.waitedTicks = 0;
      this.goOn(connection, offer.id, this.store.takeOffer(offer));
    }
  }

  private goOn(connection: Connection, id: string, after: Promise<Ino | null>): void {
    this.storing++;
    after.then(
      (ino) => {
        this.storing--;
        this.waitedTicks = 0;
        if (this.from !== connection || this.offers.get(connection)?.id !== id) return;
        if (ino === null) this.ended(connection);
        else connection.step({ on: 'wantBase', id, after: ino });
      },
      (error: unknown) => {
        this.storing--;
        connection.reject(error);
      },
    );
  }
}

// parked-changes.ts — changes that arrived before what they build on, or that do not count yet (crdt/acceptance.ts).
// Invariant: memory and SQLite hold the same; each waits for one missing dependency at a time, so the arrival of a change costs
// only what it sets free. Bounded: what does not fit is not kept, and comes again because no vector ever claimed it.

import type { Change } from '../crdt/change.js';
import type { EncodedChange } from './change-codec.js';
import { decodeChange } from './change-codec.js';
import type { Connection, Statement } from './schema.js';

/** More than this waiting means that a peer sends out of order. */
const MAX_PARKED_BYTES = 64 * 2 ** 20;

export class ParkedChanges {
  private readonly byHash = new Map<string, EncodedChange>();
  /** missing hash → those that wait for it. */
  private readonly waiting = new Map<string, EncodedChange[]>();
  private ready: EncodedChange[] = [];
  private parkedBytes = 0;
  private readonly insert: Statement;
  private readonly remove: Statement;

  /** @param holds whether a change with this hash is in the journal */
  constructor(
    db: Connection,
    private readonly holds: (hash: string) => boolean,
  ) {
    this.insert = db.prepare('insert into parked(hash, bytes) values (?, ?)');
    this.remove = db.prepare('delete from parked where hash = ?');
    for (const bytes of db.prepare('select bytes from parked order by hash').pluck().all() as Buffer[]) {
      this.remember({ bytes, change: decodeChange(bytes, MAX_PARKED_BYTES) });
    }
  }

  get sizeBytes(): number {
    return this.parkedBytes;
  }

  all(): readonly Change[] {
    return [...this.byHash.values()].map(({ change }) => change);
  }

  /** @returns false when it was not kept because too much waits already */
  add(parked: EncodedChange): boolean {
    const { bytes, change } = parked;
    if (this.byHash.has(change.hash)) return true;
    if (this.parkedBytes + bytes.length > MAX_PARKED_BYTES) return false;
    this.insert.run(Buffer.from(change.hash, 'hex'), bytes);
    this.remember(parked);
    return true;
  }

  /** A change is in the journal now. */
  arrived(hash: string): void {
    if (this.byHash.size === 0) return;
    const freed = this.waiting.get(hash);
    this.waiting.delete(hash);
    for (const parked of freed ?? []) this.await(parked);
    // It may have been parked here and come once more by another way.
    if (this.byHash.has(hash)) this.forget(hash);
  }

  /** Removes and returns those whose dependencies are all in the journal, and that may go in; the others wait on. */
  takeReady(mayGoIn: (change: Change) => boolean): readonly EncodedChange[] {
    const waiting = this.ready.filter(({ change }) => this.byHash.has(change.hash));
    const ready = waiting.filter(({ change }) => mayGoIn(change));
    this.ready = waiting.filter((parked) => !ready.includes(parked));
    for (const { change } of ready) this.forget(change.hash);
    return ready;
  }

  private remember(parked: EncodedChange): void {
    this.byHash.set(parked.change.hash, parked);
    this.parkedBytes += parked.bytes.length;
    this.await(parked);
  }

  private await(parked: EncodedChange): void {
    const missing = parked.change.deps.find((hash) => !this.holds(hash));
    if (missing === undefined) {
      this.ready.push(parked);
      return;
    }
    const others = this.waiting.get(missing);
    if (others) others.push(parked);
    else this.waiting.set(missing, [parked]);
  }

  private forget(hash: string): void {
    this.parkedBytes -= this.byHash.get(hash)!.bytes.length;
    this.byHash.delete(hash);
    this.remove.run(Buffer.from(hash, 'hex'));
  }
}

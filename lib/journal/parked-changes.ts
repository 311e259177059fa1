// parked-changes.ts — changes that arrived before what they build on, or that do not count yet (crdt/acceptance.ts).
// Invariant: memory and SQLite hold the same; each waits for one missing dependency at a time, so the arrival of a change costs
// only what it sets free. Bounded: what does not fit is not kept, and comes again because no vector ever claimed it.

import type { Change } from '../crdt/change.js';
import type { PlacedChange } from './change-codec.js';
import { decodeChange } from './change-codec.js';
import { decodeDots, encodeDots, type LocalDot } from './dots.js';
import type { Connection, Statement } from './schema.js';

/** More than this waiting means that a peer sends out of order. */
const MAX_PARKED_BYTES = 64 * 2 ** 20;

export class ParkedChanges {
  private readonly byHash = new Map<string, PlacedChange>();
  /** missing hash → those that wait for it. */
  private readonly waiting = new Map<string, PlacedChange[]>();
  private ready: PlacedChange[] = [];
  private parkedBytes = 0;
  private readonly insert: Statement;
  private readonly remove: Statement;

  /** @param holds whether a change with this hash, which is said to stand there, is in the journal or was */
  constructor(
    db: Connection,
    private readonly holds: (hash: string, dot: LocalDot | undefined) => boolean,
  ) {
    this.insert = db.prepare('insert into parked(hash, bytes, deps) values (?, ?, ?)');
    this.remove = db.prepare('delete from parked where hash = ?');
    const rows = db.prepare('select bytes, deps from parked order by hash').raw().all() as [Buffer, Buffer][];
    for (const [bytes, deps] of rows) {
      this.remember({ bytes, change: decodeChange(bytes, MAX_PARKED_BYTES), deps: decodeDots(deps) });
    }
  }

  get sizeBytes(): number {
    return this.parkedBytes;
  }

  all(): readonly Change[] {
    return [...this.byHash.values()].map(({ change }) => change);
  }

  /** @returns false when it was not kept because too much waits already */
  add(parked: PlacedChange): boolean {
    const { bytes, change } = parked;
    if (this.byHash.has(change.hash)) return true;
    if (this.parkedBytes + bytes.length > MAX_PARKED_BYTES) return false;
    this.insert.run(Buffer.from(change.hash, 'hex'), bytes, encodeDots(parked.deps ?? []));
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

  /** Much came at once, without its changes: looks at all of them again. Those that `isHeld` are forgotten. */
  reconsider(isHeld: (change: Change) => boolean): void {
    const all = [...this.byHash.values()];
    this.waiting.clear();
    this.ready = [];
    for (const parked of all) {
      if (isHeld(parked.change)) this.forget(parked.change.hash);
      else this.await(parked);
    }
  }

  /** Removes and returns those whose dependencies are all in the journal, and that may go in; the others wait on. */
  takeReady(mayGoIn: (change: Change) => boolean): readonly PlacedChange[] {
    const waiting = this.ready.filter(({ change }) => this.byHash.has(change.hash));
    const ready = waiting.filter(({ change }) => mayGoIn(change));
    this.ready = waiting.filter((parked) => !ready.includes(parked));
    for (const { change } of ready) this.forget(change.hash);
    return ready;
  }

  private remember(parked: PlacedChange): void {
    this.byHash.set(parked.change.hash, parked);
    this.parkedBytes += parked.bytes.length;
    this.await(parked);
  }

  private await(parked: PlacedChange): void {
    const missing = parked.change.deps.find((hash, i) => !this.holds(hash, parked.deps?.[i]));
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

// truncation.ts — drops the oldest changes of the journal, one after the other, into the base (base-registers.ts).
// Invariant: changes go in the order in which they arrived here, so what is dropped is always closed under what changes build on, and
// what is left has everything but what is below the floor. Which may go is the caller's to say. Part of the journal's open
// transaction: a crash leaves a floor before the change or behind it.

import type { Change } from '../crdt/change.js';
import type { BaseRegisters } from './base-registers.js';
import { decodeChange } from './change-codec.js';
import type { Floor } from './floor.js';
import { isIntactChange, type LostChanges } from './lost-changes.js';
import type { Connection, Statement } from './schema.js';

/** A change as far as it matters whether it may go. */
export interface OldestChange {
  /** Local index. */
  readonly actor: number;
  readonly seq: number;
  /** Microseconds since 1970. */
  readonly stamp: number;
  /** What it says; at the cost of decoding it. */
  readonly change: () => Change;
}

/** Pages given back to the filesystem at a time: some 10 µs each. */
const PAGES_AT_ONCE = 8;
/** Free pages that stay, for what is written next: this part of the file, and this many. */
const SPARE_SHARE = 1 / 16;
const SPARE_PAGES = 64;

type Row = [lsn: number, actor: number, seq: number, stamp: number, hash: Buffer, bytes: Buffer];

export class Truncation {
  private readonly selectOldest: Statement;
  private readonly firstLost: Statement;
  private readonly remove: Statement;

  constructor(
    private readonly db: Connection,
    private readonly floor: Floor,
    private readonly base: BaseRegisters,
  ) {
    this.selectOldest = db
      .prepare('select lsn, actor, seq, stamp, hash, bytes from change where lsn > ? order by lsn limit 1')
      .raw();
    this.firstLost = db.prepare('select min(lsn) from lost_change').pluck();
    this.remove = db.prepare('delete from change where lsn = ?');
  }

  /**
   * Drops changes until one may not go, none is left, or `isOver`.
   * @returns bytes of the changes that went, and whether the next one may go too
   */
  drop(mayGo: (change: OldestChange) => boolean, isOver: () => boolean): { bytes: number; more: boolean } {
    let dropped = 0;
    let more = true;
    while (!isOver()) {
      const next = this.oldest();
      // One whose bytes are damaged is first had again from a site that has it.
      if (!next || !isIntactChange(next[4], next[5])) {
        more = false;
        break;
      }
      const [lsn, actor, seq, stamp, , bytes] = next;
      let decoded: Change | undefined;
      const read = (): Change => (decoded ??= decodeChange(bytes, Infinity));
      if (!mayGo({ actor, seq, stamp, change: read })) {
        more = false;
        break;
      }
      const change = read();
      this.base.fold(change);
      this.floor.pass(lsn, actor, change);
      this.remove.run(lsn);
      dropped += bytes.length;
    }
    if (dropped > 0) {
      this.base.flush();
      this.floor.save();
    }
    return { bytes: dropped, more };
  }

  /** The change at the beginning of the journal; none when it is one whose bytes were lost. */
  private oldest(): Row | undefined {
    const row = this.selectOldest.get(this.floor.lsn) as Row | undefined;
    const lost = this.firstLost.get() as number | null;
    return row && lost !== null && lost < row[0] ? undefined : row;
  }

  /**
   * Drops the changes below a floor that came from another site; the others stand behind its place, in their order.
   * @param nextLsn the next free place
   * @returns the next one then, and bytes of the changes that are left
   */
  dropBelow(lost: LostChanges, nextLsn: number): { nextLsn: number; bytes: number } {
    const { db, floor } = this;
    const remove = db.prepare('delete from change where actor = ? and seq <= ?');
    for (const [actor, { seq }] of floor.changes) remove.run(actor, seq);
    const places = db.prepare('select lsn from change').pluck().all() as number[];
    for (const change of lost.places()) if (!floor.covers(change)) places.push(change.lsn);
    const moved = new Map<number, number>();
    for (const lsn of places.toSorted((a, b) => a - b)) moved.set(lsn, nextLsn++);
    const move = db.prepare('update change set lsn = ? where lsn = ?');
    for (const [from, to] of moved) move.run(to, from);
    lost.move(
      (dot) => floor.covers(dot),
      (lsn) => moved.get(lsn)!,
    );
    return { nextLsn, bytes: db.prepare('select total(length(bytes)) from change').pluck().get() as number };
  }

  /** Gives free pages back to the filesystem until few are left, or `isOver`. @returns whether there are more */
  giveBack(isOver: () => boolean): boolean {
    while (this.freePages() > 0) {
      if (isOver()) return true;
      const before = this.freePages();
      this.db.pragma(`incremental_vacuum(${PAGES_AT_ONCE})`);
      if (this.freePages() === before) return false; // a file of an earlier version keeps its pages, and uses them again
    }
    return false;
  }

  /** Beyond those that stay. */
  private freePages(): number {
    const free = this.db.pragma('freelist_count', { simple: true }) as number;
    const pages = this.db.pragma('page_count', { simple: true }) as number;
    return Math.max(0, free - Math.max(SPARE_PAGES, Math.ceil(pages * SPARE_SHARE)));
  }
}

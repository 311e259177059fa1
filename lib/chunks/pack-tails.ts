// pack-tails.ts — how far the packs of the site thread are on stable storage, as far as the state itself knows.
// Invariant: a record that begins before the position that is noted of its pack was synced before the note was committed. So after
// power loss, which may leave a commit and take the records that it names, only what lies behind has to be looked at. Packs of which
// nothing is noted are on stable storage as a whole: other threads sync theirs before the index names anything in them.

import type { Database, Statement } from 'better-sqlite3';

export interface PackTail {
  readonly name: string;
  /** Number of the pack in the index. */
  readonly pack: number;
  /** Up to here the pack was synced, in bytes. */
  readonly durable: number;
}

const SCHEMA = `CREATE TABLE IF NOT EXISTS pack_tail (pack INTEGER PRIMARY KEY, durable INTEGER NOT NULL)`;

/** Part of the transactions of whoever uses it. */
export class PackTails {
  private readonly insert: Statement<[number]>;
  private readonly update: Statement<[number, number]>;
  private readonly remove: Statement<[number]>;
  /** How far each pack is known to be synced. */
  private readonly known = new Map<number, number>();
  /** Packs of which that is to be noted. */
  private readonly advanced = new Set<number>();

  constructor(private readonly db: Database) {
    db.exec(SCHEMA);
    this.insert = db.prepare('INSERT OR IGNORE INTO pack_tail VALUES (?, 0)');
    this.remove = db.prepare('DELETE FROM pack_tail WHERE pack = ?');
    this.update = db.prepare('UPDATE pack_tail SET durable = ? WHERE pack = ?');
  }

  /** The index names something in this pack that is not synced. */
  written(pack: number): void {
    if (this.known.has(pack)) return;
    this.insert.run(pack);
    this.known.set(pack, 0);
  }

  /** It was synced up to here. Is in the state after the next {@link note}. */
  synced(pack: number, endBytes: number): void {
    if (endBytes <= (this.known.get(pack) ?? Infinity)) return;
    this.known.set(pack, endBytes);
    this.advanced.add(pack);
  }

  /** A pack is gone, and the next one may get its number. */
  removed(pack: number): void {
    this.remove.run(pack);
    this.known.delete(pack);
    this.advanced.delete(pack);
  }

  /** Whether there is something to {@link note}. */
  get hasAdvanced(): boolean {
    return this.advanced.size > 0;
  }

  note(): void {
    for (const pack of this.advanced) this.update.run(this.known.get(pack)!, pack);
    this.advanced.clear();
  }

  /** What an earlier process left. */
  left(): PackTail[] {
    return this.db
      .prepare('SELECT name, pack, durable FROM pack_tail JOIN pack ON pack.number = pack_tail.pack')
      .all() as PackTail[];
  }

  /** Everything is on stable storage. */
  clear(): void {
    this.db.prepare('DELETE FROM pack_tail').run();
    this.known.clear();
    this.advanced.clear();
  }
}

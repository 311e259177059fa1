// object-use.ts — in which order objects were last read, for a site that gives up what was read longest ago. Site thread only.
// Invariant: a later use has a higher number, over restarts too. Uses wait in memory until somebody looks at the table; what a crash
// takes of them makes objects look older than they are, and nothing else.

import type { Database, Statement } from 'better-sqlite3';
import type { ObjectId } from '../crdt/ids.js';

export const USE_SCHEMA =
  'CREATE TABLE IF NOT EXISTS object_use (id BLOB PRIMARY KEY, used INTEGER NOT NULL) WITHOUT ROWID;';

const MAX_WAITING = 20_000;

export class ObjectUse {
  private readonly waiting = new Map<ObjectId, number>();
  private last: number;
  private readonly put: Statement<[Buffer, number]>;
  private readonly delete: Statement<[Buffer]>;

  /** The table is there. */
  constructor(db: Database) {
    this.last = db.prepare<[], number>('SELECT coalesce(max(used), 0) FROM object_use').pluck().get()!;
    this.put = db.prepare('REPLACE INTO object_use VALUES (?, ?)');
    this.delete = db.prepare('DELETE FROM object_use WHERE id = ?');
  }

  note(id: ObjectId): void {
    this.waiting.set(id, ++this.last);
    if (this.waiting.size > MAX_WAITING) this.write();
  }

  forget(id: ObjectId, blob: Buffer): void {
    this.waiting.delete(id);
    this.delete.run(blob);
  }

  /** Puts all uses into the table, in the open transaction. */
  write(): void {
    for (const [id, used] of this.waiting) this.put.run(Buffer.from(id, 'hex'), used);
    this.waiting.clear();
  }
}

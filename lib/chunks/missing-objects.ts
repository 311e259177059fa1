// missing-objects.ts — the objects that this site wants and does not hold: what it asks its peers for. Site thread only.
// Invariant: manifests, which name the chunks, come first. The count is exact. That nothing in it is held is the object store's affair.

import type { Database, Statement } from 'better-sqlite3';
import type { MissingObject, ObjectKind } from './object-kind.js';

/** The primary key is the order in which they are asked for. */
export const MISSING_SCHEMA =
  'CREATE TABLE IF NOT EXISTS missing (kind INTEGER NOT NULL, id BLOB NOT NULL, PRIMARY KEY (kind, id)) WITHOUT ROWID;';

export class MissingObjects {
  count: number;
  private readonly insert: Statement<[number, Buffer]>;
  private readonly delete: Statement<[Buffer]>;
  private readonly page: Statement<[number, Buffer, number]>;
  private readonly find: Statement<[Buffer]>;

  /** The table is there. */
  constructor(private readonly db: Database) {
    this.insert = db.prepare('INSERT OR IGNORE INTO missing VALUES (?, ?)');
    this.delete = db.prepare('DELETE FROM missing WHERE kind IN (1, 2) AND id = ?');
    this.page = db.prepare('SELECT kind, id FROM missing WHERE (kind, id) > (?, ?) ORDER BY kind, id LIMIT ?');
    this.find = db.prepare<[Buffer]>('SELECT 1 FROM missing WHERE kind IN (1, 2) AND id = ?').pluck();
    this.count = db.prepare<[], number>('SELECT count(*) FROM missing').pluck().get()!;
  }

  has(id: Buffer): boolean {
    return this.count > 0 && this.find.get(id) !== undefined;
  }

  add(id: Buffer, kind: ObjectKind): void {
    this.count += this.insert.run(kind, id).changes;
  }

  remove(id: Buffer): void {
    if (this.count > 0) this.count -= this.delete.run(id).changes;
  }

  clear(): void {
    this.db.prepare('DELETE FROM missing').run();
    this.count = 0;
  }

  /** Up to `limit` of them; `after`: those that follow this one, for the next page. */
  list(limit: number, after?: MissingObject): MissingObject[] {
    const from = after ? Buffer.from(after.id, 'hex') : Buffer.alloc(0);
    const rows = this.page.all(after?.kind ?? 0, from, limit) as { kind: ObjectKind; id: Buffer }[];
    return rows.map(({ kind, id }) => ({ kind, id: id.toString('hex') }));
  }
}

// missing-objects.ts — the objects that this site wants and does not hold: what it asks its peers for. Site thread only.
// Invariant: manifests, which name the chunks, come first. The count is exact, and so are the bytes once the manifests are here: until then
// a manifest counts as the file that it is of. That nothing in it is held is the object store's affair.

import type { Database, Statement } from 'better-sqlite3';
import { type MissingObject, ObjectKind } from './object-kind.js';

/** The primary key is the order in which they are asked for. */
export const MISSING_SCHEMA = `CREATE TABLE IF NOT EXISTS missing (
  kind INTEGER NOT NULL, id BLOB NOT NULL, bytes INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (kind, id)
) WITHOUT ROWID;`;

export class MissingObjects {
  count: number;
  /** Of the content that waits for them. */
  bytes: number;
  private readonly insert: Statement<[number, Buffer, number]>;
  private readonly delete: Statement<[Buffer]>;
  private readonly page: Statement<[number, Buffer, number]>;
  private readonly find: Statement<[Buffer], ObjectKind>;

  /** The table is there. */
  constructor(private readonly db: Database) {
    const columns = db.pragma('table_info(missing)') as { name: string }[];
    if (!columns.some(({ name }) => name === 'bytes'))
      db.exec('ALTER TABLE missing ADD COLUMN bytes INTEGER NOT NULL DEFAULT 0');
    this.insert = db.prepare('INSERT OR IGNORE INTO missing (kind, id, bytes) VALUES (?, ?, ?)');
    this.delete = db.prepare<[Buffer]>('DELETE FROM missing WHERE kind IN (1, 2) AND id = ? RETURNING bytes').pluck();
    this.page = db.prepare('SELECT kind, id, bytes FROM missing WHERE (kind, id) > (?, ?) ORDER BY kind, id LIMIT ?');
    this.find = db.prepare<[Buffer], ObjectKind>('SELECT kind FROM missing WHERE kind IN (1, 2) AND id = ?').pluck();
    [this.count, this.bytes] = db.prepare('SELECT count(*), total(bytes) FROM missing').raw().get() as [number, number];
  }

  has(id: Buffer): boolean {
    return this.count > 0 && this.find.get(id) !== undefined;
  }

  /** Nothing when it is wanted already. One of which not even the kind was known is one of this kind from now on. */
  add(id: Buffer, kind: ObjectKind, bytes: number): void {
    const known = this.count > 0 ? this.find.get(id) : undefined;
    if (known === ObjectKind.manifest || known === kind) return;
    if (known !== undefined) this.remove(id);
    if (this.insert.run(kind, id, bytes).changes === 0) return;
    this.count++;
    this.bytes += bytes;
  }

  remove(id: Buffer): void {
    if (this.count === 0) return;
    for (const bytes of this.delete.all(id) as number[]) {
      this.count--;
      this.bytes -= bytes;
    }
  }

  clear(): void {
    this.db.prepare('DELETE FROM missing').run();
    this.count = 0;
    this.bytes = 0;
  }

  /** Up to `limit` of them; `after`: those that follow this one, for the next page. */
  list(limit: number, after?: MissingObject): MissingObject[] {
    const from = after ? Buffer.from(after.id, 'hex') : Buffer.alloc(0);
    const rows = this.page.all(after?.kind ?? 0, from, limit) as { kind: ObjectKind; id: Buffer; bytes: number }[];
    return rows.map(({ kind, id, bytes }) => ({ kind, id: id.toString('hex'), bytes }));
  }
}

// meta-table.ts — small texts of the layers above, by key. Writes are part of the open transaction.

import { checkRow, rowSum } from './row-sum.js';
import type { Connection, Statement } from './schema.js';

export class MetaTable {
  private readonly select: Statement;
  private readonly put: Statement;
  private readonly remove: Statement;

  constructor(
    db: Connection,
    private readonly path: string,
  ) {
    this.select = db.prepare('select value, sum from meta where key = ?').raw();
    this.put = db.prepare('replace into meta(key, value, sum) values (?, ?, ?)');
    this.remove = db.prepare('delete from meta where key = ?');
  }

  /** @throws CorruptionError when the row is damaged */
  get(key: string): string | undefined {
    const row = this.select.get(key) as [value: string, sum: number] | undefined;
    if (row) checkRow(() => `${this.path}: ${key}`, row[1], key, row[0]);
    return row?.[0];
  }

  /** undefined forgets the key. */
  set(key: string, value: string | undefined): void {
    if (value === undefined) this.remove.run(key);
    else this.put.run(key, value, rowSum(key, value));
  }
}

// schema-rows.ts — puts right what damage did to the rows of sqlite_schema: the words that say what tables there are.
// Without them SQLite opens nothing, while every other page may be sound. What they say is known: it is what a new state says. Damage that
// leaves a row as long as it was is told from it; a row that is cut or gone is not made up here.
// Source: https://sqlite.org/schematab.html, and https://sqlite.org/pragma.html#pragma_writable_schema for reading past a row that is no SQL.

import type { Connection } from './schema.js';

type Cells = readonly [type: string, name: string, table: string, sql: string | null];
type Row = readonly [rowid: number, ...Cells];

/** A row that is not what a new state has. */
export interface DamagedSchemaRow {
  /** Of the table or index, for a person. */
  readonly name: string;
  readonly rowid: number;
  readonly expected: Cells;
}

/** Characters of a row that damage may have changed: more than a few, and it may be another row. */
const MAX_CHANGED = 8;

/**
 * @param db opened with `pragma writable_schema = on` before anything else was asked of it
 * @param model a new state with all its tables, of the same version
 */
export function damagedSchemaRows(db: Connection, model: Connection): DamagedSchemaRow[] {
  const found = db.prepare('select rowid, type, name, tbl_name, sql from sqlite_schema').raw().all() as Row[];
  const expected = model.prepare('select type, name, tbl_name, sql from sqlite_schema').raw().all() as Cells[];
  const unknown = new Map(found.map(([rowid, ...cells]) => [JSON.stringify(cells), { rowid, cells }]));
  const absent = expected.filter((cells) => !unknown.delete(JSON.stringify(cells)));
  return absent.flatMap((cells) => {
    const near = [...unknown.values()].filter((row) => changedCharacters(row.cells, cells) <= MAX_CHANGED);
    return near.length === 1 ? [{ name: `${cells[0]} ${cells[1]}`, rowid: near[0]!.rowid, expected: cells }] : [];
  });
}

/** Infinity when they are not equally long. */
function changedCharacters(found: Cells, expected: Cells): number {
  let changed = 0;
  for (const [i, cell] of expected.entries()) {
    const other = found[i] ?? '';
    const text = cell ?? '';
    if (typeof other !== 'string' || other.length !== text.length) return Infinity;
    for (let at = 0; at < text.length; at++) if (other[at] !== text[at]) changed++;
  }
  return changed;
}

/** Writes them as they were. @param db as above, and writable */
export function restoreSchemaRows(db: Connection, rows: readonly DamagedSchemaRow[]): void {
  const update = db.prepare('update sqlite_schema set type = ?, name = ?, tbl_name = ?, sql = ? where rowid = ?');
  for (const { rowid, expected } of rows) update.run(...expected, rowid);
}

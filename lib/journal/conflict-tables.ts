// conflict-tables.ts — what is in conflict: contested names and attributes, merged directories, deferred placements, conflict copies.
// Invariant: memory and SQLite hold the same; reads never touch SQLite. All of it is loaded at open, because it is small: it
// grows with what concurrent work left unresolved and not with the volume. Lists are ascending, the same at every run.

import type { Claim, CopyOf } from '../crdt/tree-store.js';
import type { Ino, LinkId, Name } from '../crdt/ids.js';
import { type Cell, checkRow, rowSum } from './row-sum.js';
import type { Connection, Statement } from './schema.js';

const ascending = (a: number, b: number): number => a - b;

/** ino → value, with the inverse from what the value refers to. */
class ReferenceTable<Value> {
  readonly map = new Map<Ino, Value>();
  private readonly inverse = new Map<Ino, Set<Ino>>();

  constructor(
    private readonly targetOf: (value: Value) => Ino,
    private readonly put: (ino: Ino, value: Value) => void,
    private readonly remove: (ino: Ino) => void,
  ) {}

  get(ino: Ino): Value | undefined {
    return this.map.get(ino);
  }

  set(ino: Ino, value: Value | undefined): void {
    const was = this.map.get(ino);
    if (was === undefined && value === undefined) return;
    if (was !== undefined) this.unlink(ino, this.targetOf(was));
    if (value === undefined) {
      this.map.delete(ino);
      this.remove(ino);
    } else {
      this.load(ino, value);
      this.put(ino, value);
    }
  }

  /** Takes over a row that SQLite holds already. */
  load(ino: Ino, value: Value): void {
    this.map.set(ino, value);
    const target = this.targetOf(value);
    const sources = this.inverse.get(target);
    if (sources) sources.add(ino);
    else this.inverse.set(target, new Set([ino]));
  }

  of(target: Ino): readonly Ino[] {
    const sources = this.inverse.get(target);
    return sources ? [...sources].toSorted(ascending) : [];
  }

  private unlink(ino: Ino, target: Ino): void {
    const sources = this.inverse.get(target)!;
    sources.delete(ino);
    if (sources.size === 0) this.inverse.delete(target);
  }
}

export class ConflictTables {
  readonly aliases: ReferenceTable<Ino>;
  readonly copies: ReferenceTable<CopyOf>;
  readonly deferred = new Map<Ino, number>();
  readonly attributeContests = new Set<Ino>();
  private readonly contested = new Map<Ino, Map<Name, readonly Claim[]>>();

  private readonly putClaim: Statement;
  private readonly removeClaims: Statement;
  private readonly putDeferred: Statement;
  private readonly removeDeferred: Statement;
  private readonly putAttributeContest: Statement;
  private readonly removeAttributeContest: Statement;

  constructor(db: Connection) {
    const putAlias = db.prepare('replace into alias(ino, canonical, sum) values (?, ?, ?)');
    const removeAlias = db.prepare('delete from alias where ino = ?');
    this.aliases = new ReferenceTable<Ino>(
      (canonical) => canonical,
      (ino, canonical) => putAlias.run(ino, canonical, rowSum(ino, canonical)),
      (ino) => removeAlias.run(ino),
    );
    const putCopy = db.prepare('replace into copy(ino, source, counter, actor, sum) values (?, ?, ?, ?, ?)');
    const removeCopy = db.prepare('delete from copy where ino = ?');
    this.copies = new ReferenceTable<CopyOf>(
      (copy) => copy.source,
      (ino, { source, counter, actor }) =>
        putCopy.run(ino, source, counter, actor, rowSum(ino, source, counter, actor)),
      (ino) => removeCopy.run(ino),
    );
    this.putClaim = db.prepare(
      'insert into claim(parent, base, position, ino, link, shown, sum) values (?, ?, ?, ?, ?, ?, ?)',
    );
    this.removeClaims = db.prepare('delete from claim where parent = ? and base = ?');
    this.putDeferred = db.prepare('replace into deferred(ino, candidate, sum) values (?, ?, ?)');
    this.removeDeferred = db.prepare('delete from deferred where ino = ?');
    this.putAttributeContest = db.prepare('insert into attribute_contest(ino, sum) values (?, ?)');
    this.removeAttributeContest = db.prepare('delete from attribute_contest where ino = ?');
    this.load(db);
  }

  private load(db: Connection): void {
    for (const [ino, canonical] of checkedRows<[Ino, Ino]>(db, 'alias', 'ino, canonical', 'ino')) {
      this.aliases.load(ino, canonical);
    }
    const copies = checkedRows<[Ino, Ino, number, number]>(db, 'copy', 'ino, source, counter, actor', 'ino');
    for (const [ino, source, counter, actor] of copies) this.copies.load(ino, { source, counter, actor });
    for (const [ino, candidate] of checkedRows<[Ino, number]>(db, 'deferred', 'ino, candidate', 'ino')) {
      this.deferred.set(ino, candidate);
    }
    for (const [ino] of checkedRows<[Ino]>(db, 'attribute_contest', 'ino', 'ino')) this.attributeContests.add(ino);
    type ClaimRow = [Ino, Name, number, Ino, LinkId, Name | null];
    const columns = 'parent, base, position, ino, link, shown';
    for (const [parent, base, , ino, link, shown] of checkedRows<ClaimRow>(db, 'claim', columns, columns)) {
      this.remember(parent, base, [...this.claims(parent, base), { ino, link, shown }]);
    }
  }

  claims(parent: Ino, base: Name): readonly Claim[] {
    return this.contested.get(parent)?.get(base) ?? [];
  }

  setClaims(parent: Ino, base: Name, claims: readonly Claim[]): void {
    if (this.claims(parent, base).length > 0) this.removeClaims.run(parent, base);
    this.remember(parent, base, claims);
    claims.forEach(({ ino, link, shown }, position) => {
      this.putClaim.run(parent, base, position, ino, link, shown, rowSum(parent, base, position, ino, link, shown));
    });
  }

  private remember(parent: Ino, base: Name, claims: readonly Claim[]): void {
    const names = this.contested.get(parent);
    if (claims.length > 0) {
      if (names) names.set(base, claims);
      else this.contested.set(parent, new Map([[base, claims]]));
    } else if (names?.delete(base) && names.size === 0) {
      this.contested.delete(parent);
    }
  }

  contestedNames(parent: Ino): readonly Name[] {
    return [...(this.contested.get(parent)?.keys() ?? [])].toSorted();
  }

  get hasContests(): boolean {
    return this.contested.size > 0;
  }

  contestedDirectories(): readonly Ino[] {
    return [...this.contested.keys()].toSorted(ascending);
  }

  setAttributeContest(ino: Ino, isContested: boolean): void {
    if (isContested === this.attributeContests.has(ino)) return;
    if (isContested) {
      this.attributeContests.add(ino);
      this.putAttributeContest.run(ino, rowSum(ino));
    } else {
      this.attributeContests.delete(ino);
      this.removeAttributeContest.run(ino);
    }
  }

  /** A candidate of 0 is the winner itself: nothing is deferred. */
  setDeferred(ino: Ino, candidate: number): void {
    if (candidate > 0) {
      this.deferred.set(ino, candidate);
      this.putDeferred.run(ino, candidate, rowSum(ino, candidate));
    } else if (this.deferred.delete(ino)) {
      this.removeDeferred.run(ino);
    }
  }
}

/** All rows of a table, without their sums. @throws CorruptionError naming the table when one is damaged */
export function checkedRows<Row extends readonly Cell[]>(
  db: Connection,
  table: string,
  columns: string,
  order: string,
): Row[] {
  const rows = db.prepare(`select ${columns}, sum from ${table} order by ${order}`).raw().all() as Cell[][];
  return rows.map((row) => {
    const sum = row.pop();
    checkRow(() => `table ${table}`, sum, ...row);
    return row as readonly Cell[] as Row;
  });
}

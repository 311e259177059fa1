// history-index.ts — where in the journal each inode's changes are: what history and past trees look things up in.
// Invariant: derived, in a file of its own (history.db) that may be deleted at any time: it is made again from the journal and its base.
// It says everything of the changes up to its progress and nothing of later ones; catchUp() brings it to the journal's end, and forgets
// what was dropped from there. It costs the site thread nothing: whoever asks writes it, on a thread of his own; several may, one
// after the other.

import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { LRUCache } from 'lru-cache';
import type { Change, ChangeOp, Value } from '../crdt/change.js';
import { LINK_PREFIX, parseBorn, parseInto, parseLink } from '../crdt/fields.js';
import type { ActorId, Ino, Name } from '../crdt/ids.js';
import { ActorTable, VOLUME_INO } from '../crdt/ids.js';
import type { Inode } from '../crdt/inode.js';
import { formatKey, parseKey } from '../crdt/register-schema.js';
import { BaseRows } from './base-rows.js';
import { decodeChange } from './change-codec.js';
import { type FloorMark, FLOOR_KEY, NO_FLOOR, parseFloorMark, readFloor } from './floor.js';
import { openStateReader, statePath } from './schema.js';
import type { Connection, Statement } from './schema.js';

const FORMAT = 2;
const BUSY_TIMEOUT_MS = 60_000;
const CHANGES_PER_COMMIT = 256;
/** Checkpoints sync the disk, and somebody waits meanwhile. */
const CHECKPOINT_PAGES = 8192;
/** Operations of decoded changes that are remembered: neighbours in a directory were often changed together. */
const OPS_REMEMBERED = 200_000;
/** Numbers for inodes of past trees begin after all that an earlier file of this name can have given out: 1024 for each second. */
const NUMBERS_PER_SECOND = 1024;
const NUMBERS_SINCE_S = Date.UTC(2026, 0, 1) / 1000;

/**
 * - `touched`: changes with a write to the inode other than of its times; `timed`: those with one of its times, by stamp: a
 *   directory has many, of which the latest alone says something.
 * - `placed`: inodes that were ever in a directory, by name; `merged`: directories that were ever merged into one.
 * - `view`, `past`: moments that were looked at on the mount, and the inode numbers given out for them (past-views.ts).
 */
const SCHEMA = `
  create table progress(id integer primary key check(id = 1), lsn integer not null, hash blob, generation integer not null);
  insert into progress values (1, 0, null, -1);
  create table touched(ino integer not null, lsn integer not null, primary key(ino, lsn)) without rowid;
  create table timed(ino integer not null, stamp integer not null, lsn integer not null, primary key(ino, stamp, lsn)) without rowid;
  create table placed(parent integer not null, name text not null, ino integer not null, primary key(parent, name, ino))
    without rowid;
  create table merged(canonical integer not null, ino integer not null, primary key(canonical, ino)) without rowid;
  create table view(id integer primary key autoincrement, name text not null, vector text not null, used integer not null,
    unique(name, vector));
  create table past(number integer primary key autoincrement, view integer not null, parent integer not null, ino integer not null,
    name text not null, unique(view, ino));
`;

/** A change as it is looked up: its operations by inode. */
export interface IndexedChange {
  readonly lsn: number;
  /** Index in {@link HistoryIndex.actors}. */
  readonly actor: number;
  readonly seq: number;
  readonly stamp: number;
  readonly startOp: number;
  readonly ops: readonly ChangeOp[];
  /** Positions in `ops`. */
  readonly byInode: ReadonlyMap<Ino, readonly number[]>;
}

export class HistoryIndex {
  /** The actors of the journal, by its own indexes. */
  readonly actors = new ActorTable();
  private readonly statements = new Map<string, Statement>();
  /** What the base tells of inodes, as if they were changes: by places below all of the journal's. */
  private readonly baseChanges = new Map<number, IndexedChange>();
  private readonly basePlaces = new Map<Ino, readonly number[]>();
  private baseOf: FloorMark = NO_FLOOR;
  private readonly baseRows: BaseRows;
  private readonly changes = new LRUCache<number, IndexedChange>({
    maxSize: OPS_REMEMBERED,
    sizeCalculation: ({ ops }) => ops.length + 1,
  });

  private constructor(
    /** history.db, for the tables of others in it. */
    readonly db: Connection,
    private readonly state: Connection,
  ) {
    this.baseRows = new BaseRows(state);
    this.readActors();
  }

  /** Opens the index of a state directory where a journal was opened before, making it if need be. It is not caught up yet. */
  static open(directory: string): HistoryIndex {
    const state = openStateReader(statePath(directory));
    try {
      return new HistoryIndex(openIndex(join(directory, 'history.db'), state), state);
    } catch (error) {
      state.close();
      throw error;
    }
  }

  /** What `use` reads of the journal belongs to one commit, which is none before the first read: changes may be dropped meanwhile. */
  reading<T>(use: () => T): T {
    this.prepare(this.state, 'begin').run();
    try {
      return use();
    } finally {
      this.prepare(this.state, 'commit').run();
    }
  }

  close(): void {
    this.db.close();
    this.state.close();
  }

  /** Takes in what was appended to the journal since; some 5 µs for an operation. */
  catchUp(): void {
    this.catchUpFloor();
    const next = this.prepare(
      this.state,
      `select lsn, actor, hash, bytes from change where lsn > ? order by lsn limit ${CHANGES_PER_COMMIT}`,
    );
    for (;;) {
      if (!next.get(this.prepare(this.db, 'select lsn from progress').pluck().get() as number)) return;
      this.prepare(this.db, 'begin immediate').run();
      try {
        const after = this.prepare(this.db, 'select lsn from progress').pluck().get() as number;
        const rows = next.all(after) as { lsn: number; actor: number; hash: Buffer; bytes: Buffer }[];
        const last = rows.at(-1);
        if (last) {
          for (const { lsn, actor, bytes } of rows) this.take(lsn, actor, decodeChange(bytes, Infinity));
          this.prepare(this.db, 'update progress set lsn = ?, hash = ?').run(last.lsn, last.hash);
        }
        this.prepare(this.db, 'commit').run();
        if (rows.length < CHANGES_PER_COMMIT) return;
      } catch (error) {
        if (this.db.inTransaction) this.db.exec('rollback');
        throw error;
      }
    }
  }

  /** Where the journal begins now. */
  get floor(): FloorMark {
    const select = this.prepare(this.state, 'select value from meta where key = ?').pluck();
    return parseFloorMark(select.get(FLOOR_KEY) as string | undefined);
  }

  /** Whether a part of the history, as the highest seq of each actor by its index, has all that is not in the journal any more. */
  reaches(vector: ReadonlyMap<number, number>): boolean {
    for (const [actor, { seq }] of readFloor(this.state)) if ((vector.get(actor) ?? 0) < seq) return false;
    return true;
  }

  /** Forgets what was dropped; begins anew where the base is another one. */
  private catchUpFloor(): void {
    const { floor } = this;
    if (floor.lsn === this.baseOf.lsn && floor.generation === this.baseOf.generation) return this.beginIfNew(floor);
    this.baseOf = floor;
    this.baseChanges.clear();
    this.basePlaces.clear();
    this.changes.clear();
    this.beginIfNew(floor);
    for (const table of ['touched', 'timed'])
      this.prepare(this.db, `delete from ${table} where lsn <= ?`).run(floor.lsn);
  }

  /** Where the index says nothing of some of what was dropped, it begins with what that left. */
  private beginIfNew(floor: FloorMark): void {
    const progress = this.prepare(this.db, 'select lsn, generation from progress');
    const isNew = (): boolean => {
      const { lsn, generation } = progress.get() as { lsn: number; generation: number };
      return generation !== floor.generation || lsn < floor.lsn;
    };
    if (!isNew()) return;
    this.db
      .transaction(() => {
        if (!isNew()) return; // another thread was faster
        for (const table of ['touched', 'timed', 'placed', 'merged']) this.db.exec(`delete from ${table}`);
        for (const { inode } of this.baseRows.after(-1)) {
          const { ino, registers } = inode;
          if (ino === VOLUME_INO) continue;
          for (const [field, entries] of registers) for (const { value } of entries) this.takeOp(ino, field, value);
        }
        this.prepare(this.db, 'update progress set lsn = ?, hash = null, generation = ?').run(
          floor.lsn,
          floor.generation,
        );
      })
      .immediate();
  }

  private take(lsn: number, actor: number, change: Change): void {
    if (actor >= this.actors.size) this.readActors();
    const touched = new Set<Ino>();
    const timed = new Set<Ino>();
    for (const op of change.ops) {
      const { ino, field } = parseKey(op.key);
      (field === 'times' ? timed : touched).add(ino);
      if (ino !== VOLUME_INO) this.takeOp(ino, field, op.value);
    }
    const touch = this.prepare(this.db, 'insert or ignore into touched values (?, ?)');
    for (const ino of touched) touch.run(ino, lsn);
    const time = this.prepare(this.db, 'insert or ignore into timed values (?, ?, ?)');
    for (const ino of timed) time.run(ino, change.stamp, lsn);
  }

  private takeOp(ino: Ino, field: string, value: Value): void {
    if (field === 'born') {
      const born = parseBorn(value);
      if (born.name !== '') this.place(born.parent, born.name, ino);
    } else if (field === 'into') {
      this.prepare(this.db, 'insert or ignore into merged values (?, ?)').run(parseInto(value), ino);
    } else if (field.startsWith(LINK_PREFIX)) {
      const link = parseLink(value);
      this.place(link.parent, link.name, ino);
      if (link.kind === 'place' && link.prev) this.place(link.prev.parent, link.prev.name, ino);
    }
  }

  private place(parent: Ino, name: Name, ino: Ino): void {
    this.prepare(this.db, 'insert or ignore into placed values (?, ?, ?)').run(parent, name, ino);
  }

  private readActors(): void {
    for (const name of this.prepare(this.state, 'select name from actor order by id').pluck().all() as ActorId[])
      this.actors.intern(name);
  }

  // ── looking up ──────────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Positions in the journal of the changes to an inode other than of its times, ascending. */
  touches(ino: Ino): number[] {
    return this.prepare(this.db, 'select lsn from touched where ino = ? order by lsn').pluck().all(ino) as number[];
  }

  /** An inode's registers where the journal begins; undefined when it had none then. */
  base(ino: Ino): Inode | undefined {
    return this.baseRows.read(ino);
  }

  /**
   * Like {@link touches}, and before them one position below 0 for each change that is not in the journal any more and wrote something
   * that stood where the journal begins.
   */
  told(ino: Ino): number[] {
    let places = this.basePlaces.get(ino);
    if (!places) {
      const changes = baseChangesOf(ino, this.base(ino));
      places = changes.map((change) => {
        const lsn = -1 - this.baseChanges.size;
        this.baseChanges.set(lsn, { ...change, lsn });
        return lsn;
      });
      this.basePlaces.set(ino, places);
    }
    return [...places, ...this.touches(ino)];
  }

  /** Positions of the changes of its times, the latest first. */
  times(ino: Ino): Iterable<{ readonly stamp: number; readonly lsn: number }> {
    // Read on at once: a statement that is being stepped through cannot be run again meanwhile.
    return this.db
      .prepare('select stamp, lsn from timed where ino = ? order by stamp desc, lsn desc')
      .iterate(ino) as Iterable<{
      stamp: number;
      lsn: number;
    }>;
  }

  /** Inodes that were ever in a directory: under `name`, or under any. */
  placedIn(parent: Ino, name?: Name): Ino[] {
    if (name !== undefined) {
      const select = this.prepare(this.db, 'select ino from placed where parent = ? and name = ?').pluck();
      return select.all(parent, name) as Ino[];
    }
    return this.prepare(this.db, 'select distinct ino from placed where parent = ?').pluck().all(parent) as Ino[];
  }

  mergedInto(canonical: Ino): Ino[] {
    return this.prepare(this.db, 'select ino from merged where canonical = ?').pluck().all(canonical) as Ino[];
  }

  /** Whose change stands at a position, without reading it. */
  origin(lsn: number): { readonly actor: number; readonly seq: number } {
    const row = this.prepare(this.state, 'select actor, seq from change where lsn = ?').get(lsn);
    return row as { actor: number; seq: number };
  }

  change(lsn: number): IndexedChange {
    let change = lsn < 0 ? this.baseChanges.get(lsn) : this.changes.get(lsn);
    if (!change) {
      const row = this.prepare(this.state, 'select actor, bytes from change where lsn = ?').get(lsn) as {
        actor: number;
        bytes: Buffer;
      };
      const { seq, stamp, startOp, ops } = decodeChange(row.bytes, Infinity);
      const byInode = new Map<Ino, number[]>();
      for (const [index, op] of ops.entries()) {
        const { ino } = parseKey(op.key);
        const positions = byInode.get(ino);
        if (positions) positions.push(index);
        else byInode.set(ino, [index]);
      }
      change = { lsn, actor: row.actor, seq, stamp, startOp, ops, byInode };
      this.changes.set(lsn, change);
    }
    return change;
  }

  /**
   * The highest change of each actor, by its index, whose stamp is not above this one: what any site knew then is among them.
   * @throws Error when that is before what is kept
   */
  vectorAt(stamp: number): Map<number, number> {
    const floor = readFloor(this.state);
    const since = this.floor.stamp;
    if (stamp < since) {
      const text = new Date(Math.ceil(since / 1000)).toISOString();
      throw new Error(
        `history is kept from ${text} on: name a later moment (weft gc --keep-history says for how long)`,
      );
    }
    const vector = new Map<number, number>();
    const stampOf = this.prepare(this.state, 'select stamp from change where actor = ? and seq = ?').pluck();
    const rows = this.prepare(this.state, 'select id, last_seq as seq from actor where last_seq > 0').all();
    for (const { id, seq } of rows as { id: number; seq: number }[]) {
      // The stamps of an actor ascend.
      let low = floor.get(id)?.seq ?? 0;
      for (let high = seq; low < high;) {
        const middle = Math.ceil((low + high) / 2);
        if ((stampOf.get(id, middle) as number) <= stamp) low = middle;
        else high = middle - 1;
      }
      if (low > 0) vector.set(id, low);
    }
    return vector;
  }

  /** A statement of either file, prepared once. */
  prepare(db: Connection, sql: string): Statement {
    const key = db === this.db ? sql : `state: ${sql}`;
    let statement = this.statements.get(key);
    if (!statement) this.statements.set(key, (statement = db.prepare(sql)));
    return statement;
  }
}

/** An index that is damaged, of another format or of another journal is made again. */
function openIndex(path: string, state: Connection): Connection {
  if (existsSync(path)) {
    try {
      const db = connect(path);
      if (isOf(db, state)) return db;
      db.close();
    } catch (error) {
      const code = String((error as { code?: unknown }).code);
      if (!/^SQLITE_(CORRUPT|NOTADB|ERROR)/.test(code)) throw error;
    }
    for (const suffix of ['', '-wal', '-shm']) rmSync(path + suffix, { force: true });
  }
  const db = connect(path);
  const first = Math.max(1000, Math.floor((Date.now() / 1000 - NUMBERS_SINCE_S) * NUMBERS_PER_SECOND));
  db.transaction(() => {
    if ((db.pragma('user_version', { simple: true }) as number) === FORMAT) return; // another thread was faster
    db.exec(SCHEMA);
    db.prepare("insert into sqlite_sequence values ('past', ?)").run(first);
    db.pragma(`user_version = ${FORMAT}`);
  }).immediate();
  return db;
}

function connect(path: string): Connection {
  const db = new Database(path, { timeout: BUSY_TIMEOUT_MS });
  db.pragma('journal_mode = WAL');
  db.pragma('synchronous = NORMAL');
  db.pragma(`wal_autocheckpoint = ${CHECKPOINT_PAGES}`);
  return db;
}

/** What a base says of an inode, as changes: by who wrote it and when, the earliest first. Times are left out. */
function baseChangesOf(ino: Ino, inode: Inode | undefined): Omit<IndexedChange, 'lsn'>[] {
  const found: Omit<IndexedChange, 'lsn'>[] = [];
  for (const [field, entries] of inode?.registers ?? []) {
    if (field === 'times') continue;
    for (const { counter, actor, stamp, value } of entries) {
      // One operation each: their counters need not follow each other.
      const ops = [{ key: formatKey(ino, field), value, pred: [] }];
      found.push({ actor, seq: 0, stamp, startOp: counter, ops, byInode: new Map([[ino, [0]]]) });
    }
  }
  return found.toSorted((a, b) => a.stamp - b.stamp || a.startOp - b.startOp);
}

function isOf(db: Connection, state: Connection): boolean {
  if ((db.pragma('user_version', { simple: true }) as number) !== FORMAT) return false;
  const { lsn, hash } = db.prepare('select lsn, hash from progress').get() as { lsn: number; hash: Buffer | null };
  if (hash === null) return lsn === 0; // nothing was taken in
  const found = state.prepare('select hash from change where lsn = ?').pluck().get(lsn) as Buffer | undefined;
  return found?.equals(hash) ?? false;
}

// schema.ts — the SQLite file of a site: its tables, their version, and how a connection to it is set up.
// Invariant: what openState returns is a file of ours, of this version, that fits the log beside it, and whose pages are those that
// were left (or whose quick check passed, where nothing says what was left); anything else is a CorruptionError that names the file
// and the remedy, and nothing on disk was touched. Only one connection writes.

import { existsSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import Database from 'better-sqlite3';
import { CorruptionError } from '../codec/bytes.js';
import { hasContestedAttributes } from '../crdt/attribute-conflicts.js';
import { decodeInode } from '../crdt/inode-codec.js';
import type { Ino } from '../crdt/ids.js';
import { depsOf } from './change-codec.js';
import { encodeDots, type LocalDot } from './dots.js';
import { checkPageSums, correctPages, dropPageSums, hasLog, keepPageSums } from './page-sums.js';
import type { PageVerdict } from './page-sums.js';
import { type Cell, rowSum, seal } from './row-sum.js';
import { damagedSchemaRows, restoreSchemaRows } from './schema-rows.js';
import { misfitOfLog, progressMark } from './log-fit.js';

export type Connection = Database.Database;
export type Statement = Database.Statement;

/** "Weft" in the file's header, so that file(1) and we tell it from any other SQLite file. */
const APPLICATION_ID = 0x57656674;
const PAGE_BYTES = 4096;
/**
 * Page cache of the writing connection. Not larger: where a commit has balanced a B-tree, SQLite ends it with a look at every page of
 * the cache (its balance_nonroot numbers pages by way of that of the lock byte, far behind the end, and pcache1Truncate looks for it).
 */
const WRITER_CACHE_KIB = 12 * 1024;
/** Of a cache, as SQLite counts them. */
const MAX_PAGES = 2 ** 31 - 1;
const READER_CACHE_KIB = 4 * 1024;
/** Without page sums a file is checked completely on open up to this size (about 0.1 s); above it, only its schema and first pages are. */
const QUICK_CHECK_BYTES = 64 * 2 ** 20;
/** Page sums are compared on open up to this size (about 0.3 s where it is in memory); above it, only fsck does. */
const SUMS_CHECK_BYTES = 2 ** 30;
const BUSY_TIMEOUT_MS = 5_000;
const MAX_NAMED_PAGES = 5;

/**
 * Migration n brings a file from version n to n + 1; a new file runs all of them. Never change one that was released: append.
 *
 * - `inode`: the registers of an inode, and what is derived from them (lib/crdt/inode-codec.ts).
 * - `dirent`: the visible tree. `cookie` is the readdir position; see name-hash.ts.
 * - `cookie_clash`: hashes that two names of a directory shared at some time.
 * - `claim`, `alias`, `deferred`, `copy`, `attribute_contest`: what is in conflict (lib/crdt/tree-store.ts).
 * - `change`: the journal, in the order in which changes arrived here: causal. `parked`: changes whose dependencies are missing.
 * - `progress`: one row: what of the intent log is folded, heads and highest op of the document, bytes of all changes, and the
 *   first inode sequence number that was never handed out. `meta`: small texts of the layers above.
 * - `actor`: interned actors by local index, with the last change held of each.
 * - From version 3 on rows carry a sum (row-sum.ts): `inode` and `draft` as the last bytes of `state`, the others in a column; a
 *   change and an object are what their hashes say. `progress.mark` counts commits where log-fit.ts finds it without SQLite.
 *   `lost_change`: changes whose bytes were damaged here, to be had again from a site that has them; what they did is in the rows.
 * - From version 4 on `link` holds the link registers of inodes that have many (inode-rows.ts).
 * - From version 5 on the journal may begin at a floor: `floor` has the last change of each actor below it (floor.ts), `base` the
 *   registers that those changes make (base-registers.ts, sealed like `inode`), `incoming` the base of another site while it comes
 *   (incoming-base.ts). `deps` of a change says where those that it builds on stand (dots.ts).
 * - From version 7 on a removed inode may be in a block instead of in `inode` and `base` (removed-inodes.ts): `removed` says in which,
 *   `removed_block.live` how many of its inodes say so, and `removed_due` which are to be packed (removed-packing.ts).
 */
const MIGRATIONS: readonly (string | ((db: Connection) => void))[] = [
  `create table inode(ino integer primary key, state blob not null);
   create table dirent(parent integer not null, cookie integer not null, name text not null, ino integer not null,
     link integer not null, type integer not null, primary key(parent, cookie)) without rowid;
   create table cookie_clash(parent integer not null, cookie integer not null, primary key(parent, cookie)) without rowid;
   create table claim(parent integer not null, base text not null, position integer not null, ino integer not null,
     link integer not null, shown text, primary key(parent, base, position)) without rowid;
   create table alias(ino integer primary key, canonical integer not null);
   create table deferred(ino integer primary key, candidate integer not null);
   create table copy(ino integer primary key, source integer not null, counter integer not null, actor integer not null);
   create table change(lsn integer primary key, actor integer not null, seq integer not null, hash blob not null,
     stamp integer not null, bytes blob not null);
   create unique index change_of_actor on change(actor, seq);
   create unique index change_by_hash on change(hash);
   create table parked(hash blob primary key, bytes blob not null) without rowid;
   create table actor(id integer primary key, name text not null unique, last_seq integer not null, last_hash blob);
   create table progress(id integer primary key check(id = 1), folded_lsn integer not null, max_op integer not null,
     heads blob not null, journal_bytes integer not null, sequence integer not null);
   insert into progress values (1, 0, 0, x'', 0, 1);
   create table meta(key text primary key, value text not null) without rowid;`,
  noteAttributeContests,
  `update inode set state = sealed(ino, state);
   create table if not exists draft(ino integer primary key, lsn integer not null, state blob not null);
   update draft set state = sealed(row_sum(ino, lsn), state);
   ${summed('dirent', ['parent', 'cookie', 'name', 'ino', 'link', 'type'])}
   ${summed('cookie_clash', ['parent', 'cookie'])}
   ${summed('claim', ['parent', 'base', 'position', 'ino', 'link', 'shown'])}
   ${summed('alias', ['ino', 'canonical'])}
   ${summed('deferred', ['ino', 'candidate'])}
   ${summed('copy', ['ino', 'source', 'counter', 'actor'])}
   ${summed('attribute_contest', ['ino'])}
   ${summed('actor', ['id', 'name', 'last_seq', 'last_hash'])}
   ${summed('meta', ['key', 'value'])}
   alter table progress add column mark blob not null default x'';
   update progress set mark = progress_mark(0);
   ${summed('progress', ['folded_lsn', 'max_op', 'heads', 'journal_bytes', 'sequence', 'mark'])}
   create table lost_change(lsn integer primary key, actor integer not null, seq integer not null, hash blob not null);`,
  `create table link(ino integer not null, link integer not null, state blob not null, sum integer not null,
     primary key(ino, link)) without rowid;`,
  `create table base(ino integer primary key, state blob not null);
   create table incoming(ino integer primary key, state blob not null);
   create table incoming_due(ino integer primary key);
   create table floor(actor integer primary key, seq integer not null, op integer not null, hash blob not null, sum integer not null);
   alter table change add column deps blob not null default x'';
   alter table parked add column deps blob not null default x'';`,
  noteDeps,
  `create table removed(ino integer primary key, block integer not null);
   create table removed_block(id integer primary key, live integer not null, state blob not null);
   create table removed_due(ino integer primary key);
   insert into removed_due(ino) select ino from inode join base using (ino) where ino <> 0 and substr(inode.state, 1, 2) = x'0100';`,
];

/** Gives the rows of a table a sum of these columns. */
function summed(table: string, columns: readonly string[]): string {
  return `alter table ${table} add column sum integer not null default 0;
    update ${table} set sum = row_sum(${columns.join(', ')});`;
}

export const SCHEMA_VERSION = MIGRATIONS.length;

/** Path of the state file in a site's state directory. */
export function statePath(directory: string): string {
  return join(directory, 'state.db');
}

/** Path of the write-ahead log of a state file. */
export function walPath(path: string): string {
  return `${path}-wal`;
}

/** Path of the index of that log, which its readers share. */
export function shmPath(path: string): string {
  return `${path}-shm`;
}

/** Turns SQLite's report of a damaged file into a CorruptionError with the remedy, and names the file in any other report of SQLite's. */
export function explain(path: string, error: unknown): unknown {
  const { code, message } = (error ?? {}) as { code?: unknown; message?: string };
  if (typeof code !== 'string') return error;
  // Of a table's text that is no SQL any more SQLite says no more than that it is an error.
  const isDamage = /^SQLITE_(CORRUPT|NOTADB)/.test(code) || message?.startsWith('malformed database schema');
  if (isDamage) return damaged(path, message ?? '');
  // An Error of its own: one of SQLite's says neither of what, nor anything at all once it came from another thread.
  return code.startsWith('SQLITE_')
    ? Object.assign(new Error(`${path}: ${message} (${code})`, { cause: error }), { code })
    : error;
}

/** A row that cannot be read, met where the site cannot go on without it. */
export function damagedRow(path: string, what: string): CorruptionError {
  return new CorruptionError(`${what}. "weft fsck --repair --state ${dirname(path)}" makes it again from the changes`);
}

function damaged(path: string, what: string): CorruptionError {
  const directory = dirname(path);
  return new CorruptionError(
    `${path} is damaged: ${what.replace(/^\*\*\* in database main \*\*\*\s*/, '')}. Nothing was deleted. ` +
      `"weft fsck --repair --state ${directory}" restores what can be; or move ${directory} aside and run "weft join" with an ` +
      'invite of another site, which fetches everything from there; without another site put the whole directory back from a ' +
      'backup (state.db alone does not fit the files beside it)',
  );
}

/**
 * Opens the state file for writing, creating or migrating it. The caller is the only writer.
 * @param healed told of damage that was put right: single flipped bits
 */
export function openState(path: string, healed: (what: string) => void = () => {}): Connection {
  const verdict = existsSync(path) ? checkFile(path, healed) : 'new';
  dropPageSums(path);
  return open(path, (db) => {
    const isNew = (db.pragma('page_count', { simple: true }) as number) === 0;
    if (isNew) {
      db.pragma(`page_size = ${PAGE_BYTES}`);
      db.pragma('auto_vacuum = INCREMENTAL'); // truncation.ts says when; a file of an earlier version keeps its size
      db.pragma(`application_id = ${APPLICATION_ID}`);
    }
    identify(path, db);
    db.pragma('journal_mode = WAL');
    db.pragma('synchronous = NORMAL');
    // Checkpoints are made by another thread, see checkpointer.ts.
    db.pragma('wal_autocheckpoint = 0');
    db.pragma(`cache_size = -${WRITER_CACHE_KIB}`);
    // Pages leave the cache at COMMIT only: a full disk then fails a commit, never a statement in the middle of one.
    spillPages(db, false);
    db.pragma('temp_store = MEMORY');
    if (verdict === 'unknown' && statSync(path).size <= QUICK_CHECK_BYTES) {
      const quickCheck = db.pragma('quick_check(1)', { simple: true }) as string;
      if (quickCheck !== 'ok') throw damaged(path, quickCheck);
    }
    migrate(path, db);
  });
}

/**
 * Whether pages that do not fit into the cache leave it before the COMMIT, from now on. So it is said by the number of pages that the cache
 * must have for that (sqlite.org/pragma.html#pragma_cache_spill): ON and OFF change nothing within a transaction.
 */
export function spillPages(db: Connection, isAllowed: boolean): void {
  db.pragma(`cache_spill = ${isAllowed ? 1 : MAX_PAGES}`);
}

/** Opens the state file, which must exist, for reading from another thread or process. */
export function openStateReader(path: string): Connection {
  requireFile(path);
  return open(
    path,
    (db) => {
      identify(path, db);
      db.pragma(`cache_size = -${READER_CACHE_KIB}`);
      if (version(db) !== SCHEMA_VERSION) throw wrongVersion(path, version(db));
    },
    true,
  );
}

/** Opens the state file, which must exist, for reading before {@link openState} brings it to this version: what an earlier one lacks is absent. */
export function openEarlierState(path: string): Connection {
  requireFile(path);
  return open(
    path,
    (db) => {
      identify(path, db);
      if (version(db) > SCHEMA_VERSION) throw wrongVersion(path, version(db));
    },
    true,
  );
}

/** Opens a state file that may be damaged, for `fsck`: every read may throw. @throws Error when it is of another version, or not even one of SQLite's */
export function openDamagedState(path: string): Connection {
  requireFile(path);
  return open(
    path,
    (db) => {
      db.pragma(`cache_size = -${READER_CACHE_KIB}`);
      if (version(db) !== SCHEMA_VERSION) throw wrongVersion(path, version(db));
    },
    true,
  );
}

/**
 * What the file says that its tables are, where that is damaged: the names, for a person. Nothing else can be read before it is repaired.
 * @param model a new state with all its tables
 * @param repair writes it as it was; nobody else may have the file open
 */
export function checkSchema(path: string, model: Connection, repair: boolean): string[] {
  requireFile(path);
  const db = open(
    path,
    (connection) => {
      connection.unsafeMode(true);
      connection.pragma('writable_schema = on');
      if (version(connection) !== SCHEMA_VERSION) throw wrongVersion(path, version(connection));
    },
    !repair,
  );
  try {
    const damagedRows = damagedSchemaRows(db, model);
    if (repair && damagedRows.length > 0) {
      dropPageSums(path);
      restoreSchemaRows(db, damagedRows);
    }
    return damagedRows.map(({ name }) => name);
  } catch (error) {
    throw explain(path, error);
  } finally {
    db.close();
  }
}

/** Opens the state file, which must exist, for checkpoints from another thread. */
export function openStateCheckpointer(path: string): Connection {
  requireFile(path);
  return open(path, (db) => {
    identify(path, db);
    // A checkpoint syncs the log before it writes the database, and the database before it gives the log up.
    db.pragma('synchronous = NORMAL');
    db.pragma('wal_autocheckpoint = 0');
    db.pragma(`cache_size = -${READER_CACHE_KIB}`);
  });
}

/** To be called when the last connection to a state file was closed: keeps what tells of any change of it until the next is opened. */
export function settleState(path: string): void {
  keepPageSums(path, PAGE_BYTES);
}

/** Puts single flipped bits of a state file right, before anybody opens it. @throws CorruptionError when it is damaged further */
export function healState(path: string, healed: (what: string) => void): void {
  if (existsSync(path)) checkFile(path, healed);
}

/** What is known of a file before SQLite looks at it. Puts single flipped bits right. @throws CorruptionError when it is damaged */
function checkFile(path: string, healed: (what: string) => void): PageVerdict['kind'] {
  const misfit = hasLog(path) ? misfitOfLog(path, walPath(path)) : undefined;
  if (misfit !== undefined) throw damaged(path, misfit);
  if (statSync(path).size > SUMS_CHECK_BYTES) return 'unknown';
  const verdict = checkPageSums(path);
  if (verdict.kind !== 'damaged') return verdict.kind === 'unreadable' ? 'unknown' : verdict.kind;
  if (!correctPages(path, verdict)) throw damaged(path, `${namePages(verdict)} changed while nobody had it open`);
  healed(`${namePages(verdict)} of ${path}: one bit was flipped, and was flipped back`);
  return 'intact';
}

/** "page 3", "pages 3, 5 and 12 more" */
export function namePages({ pages }: Extract<PageVerdict, { kind: 'damaged' }>): string {
  const named = pages.slice(0, MAX_NAMED_PAGES).map(({ page }) => page);
  const more = pages.length - named.length;
  return `page${pages.length > 1 ? 's' : ''} ${named.join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}

/** Every fault that SQLite finds in a file, for `fsck`; empty when it is sound. Reads all of it. */
export function checkState(db: Connection): string[] {
  const rows = db.pragma('integrity_check') as { integrity_check: string }[];
  return rows.map((row) => row.integrity_check).filter((verdict) => verdict !== 'ok');
}

function requireFile(path: string): void {
  if (!existsSync(path)) throw new Error(`${path}: no such state; has the site been started once?`);
}

function open(path: string, prepare: (db: Connection) => void, readonly = false): Connection {
  let db: Connection | undefined;
  try {
    db = new Database(path, { readonly, timeout: BUSY_TIMEOUT_MS });
    prepare(db);
    return db;
  } catch (error) {
    db?.close();
    throw explain(path, error);
  }
}

function version(db: Connection): number {
  return db.pragma('user_version', { simple: true }) as number;
}

function wrongVersion(path: string, found: number): Error {
  const remedy = found > SCHEMA_VERSION ? 'update weft' : 'weft mount MOUNTPOINT brings it up to date';
  return new Error(`${path}: of version ${found} of the format, this program's is ${SCHEMA_VERSION}: ${remedy}`);
}

function identify(path: string, db: Connection): void {
  if ((db.pragma('application_id', { simple: true }) as number) !== APPLICATION_ID) {
    throw damaged(path, 'a SQLite file, but not the state of a weft site');
  }
}

function migrate(path: string, db: Connection): void {
  const from = version(db);
  if (from > SCHEMA_VERSION) throw wrongVersion(path, from);
  if (from === SCHEMA_VERSION) return;
  db.function('row_sum', { varargs: true, deterministic: true }, (...cells) => rowSum(...(cells as Cell[])));
  db.function('sealed', { deterministic: true }, (key, bytes) => seal(key as number, bytes as Buffer));
  db.function('progress_mark', { deterministic: true }, (commits) => progressMark(commits as number));
  db.transaction(() => {
    for (const migration of MIGRATIONS.slice(from)) {
      if (typeof migration === 'string') db.exec(migration);
      else migration(db);
    }
    db.pragma(`user_version = ${SCHEMA_VERSION}`);
  })();
}

function noteAttributeContests(db: Connection): void {
  db.exec('create table attribute_contest(ino integer primary key)');
  const inos: Ino[] = [];
  const inodes = db.prepare('select ino, state from inode').raw().iterate() as Iterable<[Ino, Buffer]>;
  for (const [ino, state] of inodes) if (hasContestedAttributes(decodeInode(ino, state))) inos.push(ino);
  const put = db.prepare('insert into attribute_contest(ino) values (?)');
  for (const ino of inos) put.run(ino);
}

/** Where the changes stand that each builds on. */
function noteDeps(db: Connection): void {
  const dotOf = db.prepare('select actor, seq from change where hash = ?');
  const update = db.prepare('update change set deps = ? where lsn = ?');
  const next = db.prepare('select lsn, bytes from change where lsn > ? order by lsn limit 1').raw();
  for (let lsn = 0; ;) {
    const row = next.get(lsn) as [lsn: number, bytes: Buffer] | undefined;
    if (!row) return;
    lsn = row[0];
    const dots = depsOf(row[1]).map((hash) => dotOf.get(Buffer.from(hash, 'hex')) as LocalDot | undefined);
    // One that builds on a change whose bytes were lost is not dropped past: without the place of that it cannot be handed on.
    if (dots.every((dot) => dot !== undefined)) update.run(encodeDots(dots), lsn);
  }
}

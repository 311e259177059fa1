// fsck-rebuild.ts — makes state.db anew from what a damaged one still holds: changes, and what only this site knows.
// Invariant: the damaged file is moved aside and never changed; the new one takes its place whole, or not at all. Registers come from
// the changes; where changes are lost, an intact row knows more and stands. The tree comes from the registers. Nobody else may have
// the state open.

import { existsSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { ObjectStore } from '../chunks/object-store.js';
import { ObjectKind } from '../chunks/object-kind.js';
import { ByteWriter } from '../codec/bytes.js';
import { parseBorn, parseHead } from '../crdt/fields.js';
import { type Ino, ROOT_INO, sequenceOf, slotOf } from '../crdt/ids.js';
import { hasContestedAttributes } from '../crdt/attribute-conflicts.js';
import type { Inode } from '../crdt/inode.js';
import { decodeInode } from '../crdt/inode-codec.js';
import { projectAll } from '../crdt/projection.js';
import { syncPath } from '../file-sync.js';
import { bareInode, BaseRows, encodeBase } from '../journal/base-rows.js';
import { InodeRows } from '../journal/inode-rows.js';
import type { Journal } from '../journal/journal.js';
import { commitsOf, progressMark } from '../journal/log-fit.js';
import { NAME_HASH_KEY } from '../journal/name-hash.js';
import { dropPageSums, hasLog } from '../journal/page-sums.js';
import { decodeBlock } from '../journal/removed-inodes.js';
import { IS_REMOVED } from '../journal/removed-packing.js';
import { type Cell, rowSum } from '../journal/row-sum.js';
import { type Connection, openStateCheckpointer, settleState, statePath } from '../journal/schema.js';
import type { JournalCheck } from './fsck-journal.js';
import { segmentsOf } from './fsck-log.js';
import type { Tell } from './fsck-report.js';

/** Inode numbers that are skipped when it is not known which were given out. */
const SEQUENCE_MARGIN = 2 ** 20;
const ROWS_PER_COMMIT = 5_000;
const COMMITS_MARGIN = 1_000_000;

export interface Rebuilt {
  /** What of the site's own knowledge could not be read, in words. */
  readonly lost: string[];
}

/**
 * @param db the damaged state, open for reading; closed when this returns
 * @param scratch the registers that the changes say; becomes the new state, and is closed when this returns
 * @param scratchDirectory where it lies, beside nothing else
 */
export function rebuildState(
  directory: string,
  slot: number | null,
  db: Connection,
  scratch: Journal,
  scratchDirectory: string,
  journal: JournalCheck,
  tell: Tell,
): Rebuilt {
  const lost: string[] = [];
  const strays = straysIn(db);
  for (const inode of strays) scratch.store.insert(inode);
  keepRows(db, scratch, journal.isWhole, tell);
  writeTree(scratch);
  const next = scratch.db;
  const copy = (table: string, columns: string, sum: boolean): void => {
    if (!copyTable(db, next, table, columns, sum)) lost.push(`table ${table}`);
  };
  if (!copyChanges(db, next, journal, tell)) lost.push('changes of which nothing is known any more');
  copy('floor', 'actor, seq, op, hash', true);
  copy('base', 'ino, state', false);
  const unread = unpackBase(db, next, strays);
  if (unread > 0) lost.push(`what is known of ${unread} removed files`);
  copy('parked', 'hash, bytes, deps', false);
  copy('draft', 'ino, lsn, state', false);
  // What places entries is chosen anew: only the order of listings changes.
  const nameKey = scratch.meta(NAME_HASH_KEY)!;
  if (!copyTable(db, next, 'meta', 'key, value', true, `key <> '${NAME_HASH_KEY}'`)) lost.push('settings');
  const packs = join(directory, 'packs');
  new ObjectStore(next, packs).close(); // its tables
  const indexed = ['pack', 'object', 'missing'].every((table) => copyTable(db, next, table, COLUMNS[table]!, false));
  copyTable(db, next, 'pack_tail', 'pack, durable', false); // a state that has none knows nothing to be unsynced
  copyTable(db, next, 'unshared', 'position, bytes', false);
  const objects = new ObjectStore(next, packs);
  objects.reindex();
  if (!indexed) tell('index of objects made anew', 1, 1);
  wantHeads(scratch, objects);
  objects.close();
  const ends = readEnds(db, directory, slot, scratch, lost);
  scratch.setMeta(NAME_HASH_KEY, nameKey);
  scratch.close(ends.folded);

  finish(statePath(scratchDirectory), journal, ends, readActors(db));
  db.close();
  replace(directory, scratchDirectory);
  return { lost };
}

const COLUMNS: Readonly<Record<string, string>> = {
  pack: 'number, name',
  object: 'id, pack, offset, stored, raw, kind, flags',
  missing: 'kind, id, bytes',
};

/** Times that only this site knows, and with lost changes whole rows, come from the rows that are intact. */
function keepRows(db: Connection, scratch: Journal, isWhole: boolean, tell: Tell): void {
  const { store } = scratch;
  // Those that changes name are known.
  const inos = new Set([...store.inodes(), ...inosOf(db, 'inode'), ...inosOf(db, 'removed')]);
  const rows = new InodeRows(db);
  let done = 0;
  for (const ino of inos) {
    const kept = readInode(rows, ino);
    const inode = store.inode(ino);
    if (kept && (!inode || !isWhole)) store.insert(Object.assign(kept, { nlink: 0 }));
    else if (kept && inode) {
      inode.atime = kept.atime;
      inode.ctime = kept.ctime;
      store.touch(inode);
    } else if (inode?.registers.has('born')) {
      inode.atime = parseBorn(inode.registers.get('born')![0]!.value).btime;
      store.touch(inode);
    }
    if (++done % ROWS_PER_COMMIT === 0) scratch.commit(0);
    tell('inodes', done, inos.size);
  }
}

/** What was packed gets rows of its own again. @returns how many could not be read */
function unpackBase(db: Connection, next: Connection, strays: readonly Inode[]): number {
  const rows = new BaseRows(db);
  const writer = new ByteWriter(1024);
  const insert = next.prepare('insert or ignore into base(ino, state) values (?, ?)');
  let unread = 0;
  for (const ino of inosOf(db, 'removed')) {
    try {
      insert.run(ino, encodeBase(writer, rows.read(ino)!));
    } catch {
      unread++;
    }
  }
  for (const { ino, registers } of strays) insert.run(ino, encodeBase(writer, bareInode(ino, registers)));
  return unread;
}

/** What blocks have of inodes of which `removed` does not say where they are. */
function straysIn(db: Connection): Inode[] {
  const known = new Set([...inosOf(db, 'removed'), ...inosOf(db, 'base')]);
  const strays = new Map<Ino, Inode>();
  const select = db.prepare('select state from removed_block where id = ?').pluck();
  for (const id of inosOf(db, 'removed_block', 'id')) {
    try {
      for (const [ino, bytes] of decodeBlock(id, select.get(id) as Buffer))
        if (!known.has(ino)) strays.set(ino, decodeInode(ino, bytes));
    } catch {
      // Told as what could not be read of the inodes that are said to be in it.
    }
  }
  return [...strays.values()];
}

/** As far as the table can be read. */
function inosOf(db: Connection, table: string, column = 'ino'): number[] {
  try {
    return db.prepare(`select ${column} from ${table}`).pluck().all() as number[];
  } catch {
    return [];
  }
}

function readInode(rows: InodeRows, ino: number): Inode | undefined {
  try {
    return rows.read(ino);
  } catch {
    return undefined;
  }
}

function writeTree({ store, actors }: Journal): void {
  const view = projectAll(store, actors);
  for (const ino of store.inodes()) {
    const inode = store.inode(ino)!;
    store.setAttributeContest(ino, hasContestedAttributes(inode));
    const nlink = view.nlink.get(ino) ?? 0;
    if (inode.nlink === nlink) continue;
    inode.nlink = nlink;
    store.touch(inode);
  }
  for (const dirent of view.dirents.values()) store.setDirent(dirent);
  for (const [key, claims] of view.claims) {
    const slash = key.indexOf('/');
    store.setClaims(Number(key.slice(0, slash)), key.slice(slash + 1), claims);
  }
  for (const [ino, canonical] of view.aliases) store.setAlias(ino, canonical);
  for (const [ino, candidate] of view.deferred) store.setDeferred(ino, candidate);
  for (const [ino, copy] of view.copies) store.setCopy(ino, copy);
}

/** @returns false when of a lost change not even the hash is known: what builds on it cannot be told from what does not */
function copyChanges(db: Connection, next: Connection, journal: JournalCheck, tell: Tell): boolean {
  const lost = new Set(journal.lost.map(({ lsn }) => lsn));
  const insert = next.prepare(
    'insert into change(lsn, actor, seq, hash, stamp, bytes, deps) values (?, ?, ?, ?, ?, ?, ?)',
  );
  const select = db.prepare('select lsn, actor, seq, hash, stamp, bytes, deps from change where lsn = ?').raw();
  const end = journal.end;
  for (let lsn = journal.first; lsn <= end; lsn++) {
    if (lost.has(lsn)) continue;
    insert.run(...journal.corrected(select.get(lsn) as Parameters<JournalCheck['corrected']>[0]));
    tell('changes', lsn, end);
  }
  const insertLost = next.prepare('insert into lost_change(lsn, actor, seq, hash) values (?, ?, ?, ?)');
  let known = true;
  for (const { lsn, actor, seq, hash } of journal.lost) {
    if (hash) insertLost.run(lsn, actor, seq, hash);
    else known = false;
  }
  return known;
}

function copyTable(
  db: Connection,
  next: Connection,
  table: string,
  columns: string,
  sum: boolean,
  where = '1',
): boolean {
  const names = columns.split(', ');
  const all = sum ? [...names, 'sum'] : names;
  const insert = next.prepare(`replace into ${table}(${all.join(', ')}) values (${all.map(() => '?').join(', ')})`);
  try {
    for (const row of db
      .prepare(`select ${all.join(', ')} from ${table} where ${where}`)
      .raw()
      .all() as Cell[][]) {
      if (sum && row.at(-1) !== rowSum(...row.slice(0, -1))) return false;
      insert.run(...row);
    }
    return true;
  } catch {
    return false;
  }
}

/** Manifests of what is shown that are neither here nor asked for. */
function wantHeads({ store }: Journal, objects: ObjectStore): void {
  for (const ino of store.inodes()) {
    for (const { value } of store.inode(ino)!.registers.get('head') ?? []) {
      const { manifest, size } = parseHead(value);
      if (!objects.has(manifest)) objects.want(manifest, ObjectKind.manifest, size);
    }
  }
}

interface Ends {
  readonly folded: number;
  readonly sequence: number;
  readonly commits: number;
  /** What the state knew of its changes; null: not known. With changes lost it knows more than those that are left. */
  readonly known: { readonly maxOp: number; readonly heads: Buffer; readonly bytes: number } | null;
}

function readEnds(db: Connection, directory: string, slot: number | null, scratch: Journal, lost: string[]): Ends {
  try {
    const row = db
      .prepare('select folded_lsn, max_op, heads, journal_bytes, sequence, mark, sum from progress')
      .raw()
      .get() as Cell[];
    const sum = row.pop();
    if (sum === rowSum(...row)) {
      const known = { maxOp: row[1] as number, heads: row[2] as Buffer, bytes: row[3] as number };
      return { folded: row[0] as number, sequence: row[4] as number, commits: commitsOf(row[5] as Buffer), known };
    }
  } catch {
    // As if the row were damaged.
  }
  // An orderly end leaves nothing in the intent log that the state does not hold.
  if (hasLog(statePath(directory)))
    lost.push('where the state ended: what of the intent log it did not hold yet is not carried out, and');
  let sequence = 1;
  for (const ino of scratch.store.inodes()) {
    if (ino > ROOT_INO && slotOf(ino) === slot) sequence = Math.max(sequence, sequenceOf(ino));
  }
  let folded = scratch.db.prepare('select coalesce(max(lsn), 0) from draft').pluck().get() as number;
  for (const { firstLsn, records } of segmentsOf(directory)) folded = Math.max(folded, firstLsn + records.length - 1);
  return { folded, sequence: sequence + SEQUENCE_MARGIN, commits: COMMITS_MARGIN, known: null };
}

/** What a journal keeps of itself. */
function finish(path: string, journal: JournalCheck, ends: Ends, kept: ReadonlyMap<string, ActorEnd>): void {
  const db = openStateCheckpointer(path);
  const { seqs, lastHashes, heads, maxOp, bytes } = journal.summary;
  const putActor = db.prepare('update actor set last_seq = ?, last_hash = ?, sum = ? where id = ?');
  for (const [id, name] of db.prepare('select id, name from actor').raw().all() as [number, string][]) {
    const hash = lastHashes.get(name);
    const found = { seq: seqs.get(name) ?? 0, hash: hash === undefined ? null : Buffer.from(hash, 'hex') };
    const { seq, hash: last } = (journal.isWhole ? undefined : kept.get(name)) ?? found;
    putActor.run(seq, last, rowSum(id, name, seq, last), id);
  }
  const found = { maxOp, heads: Buffer.from([...heads].join(''), 'hex'), bytes };
  const of = (journal.isWhole ? null : ends.known) ?? found;
  const mark = progressMark(ends.commits + 1);
  const cells = [ends.folded, of.maxOp, of.heads, of.bytes, ends.sequence, mark] as const;
  db.prepare(
    'update progress set folded_lsn = ?, max_op = ?, heads = ?, journal_bytes = ?, sequence = ?, mark = ?, sum = ? where id = 1',
  ).run(...cells, rowSum(...cells));
  db.exec(`insert into removed_due(ino) select ino from inode join base using (ino) where ${IS_REMOVED}`);
  db.close();
  dropPageSums(path);
}

interface ActorEnd {
  readonly seq: number;
  readonly hash: Buffer | null;
}

/** The last change of each actor, by the rows that are intact. */
function readActors(db: Connection): Map<string, ActorEnd> {
  const ends = new Map<string, ActorEnd>();
  try {
    const rows = db.prepare('select id, name, last_seq, last_hash, sum from actor').raw().all();
    for (const [id, name, seq, hash, sum] of rows as [number, string, number, Buffer | null, number][]) {
      if (sum === rowSum(id, name, seq, hash)) ends.set(name, { seq, hash });
    }
  } catch {
    // The changes that are left say what they can.
  }
  return ends;
}

function replace(directory: string, scratchDirectory: string): void {
  const path = statePath(directory);
  const made = statePath(scratchDirectory);
  syncPath(made);
  dropPageSums(path);
  for (const suffix of ['', '-wal', '-shm']) {
    rmSync(`${path}.damaged${suffix}`, { force: true });
    if (existsSync(path + suffix)) renameSync(path + suffix, `${path}.damaged${suffix}`);
  }
  renameSync(made, path);
  syncPath(directory);
  settleState(path);
}

// sqlite-tree-store.ts — the tree store of a running site: inodes and dirents in SQLite, in front of them caches in memory.
// Invariant: a read sees every write made before it. Conflict tables are written through; changed inodes and dirents are kept in
// memory and written by flush(), which the journal calls before each COMMIT, or piece by piece by flushSome() while the thread has
// nothing better to do. An inode's object stays the same one while it is unflushed, and, unless it has no name left, until
// cachedInodes / 2 others were loaded since it was last asked for. Works inside the journal's transaction.

import type { Claim, CopyOf, Dirent, ListedDirent, TreeStore } from '../crdt/tree-store.js';
import type { Ino, Name } from '../crdt/ids.js';
import type { Inode } from '../crdt/inode.js';
import { GenerationCache } from './generation-cache.js';
import { checkedRows, ConflictTables } from './conflict-tables.js';
import { InodeRows } from './inode-rows.js';
import type { NameHash } from './name-hash.js';
import { COOKIES_PER_HASH } from './name-hash.js';
import { checkRow, rowSum } from './row-sum.js';
import type { Connection, Statement } from './schema.js';

/** Where an entry is, or was. */
interface Place {
  readonly parent: Ino;
  readonly name: Name;
}

export interface TreeStoreOptions {
  /** Inodes kept decoded in memory, about 1.5 KB each. */
  readonly cachedInodes?: number;
  /** Dirents kept in memory, about 0.2 KB each. */
  readonly cachedDirents?: number;
}

const DEFAULT_CACHED_INODES = 50_000;
const DEFAULT_CACHED_DIRENTS = 50_000;
const INO_PAGE = 4096;
/** So many of the latest changes wait for flush(): a directory that is being filled changes again and again. */
const FLUSH_LAG = 8;
/** In the cache: no such entry. */
const ABSENT: Dirent = { parent: 0, name: '', ino: 0, link: 0, type: 0 };

type DirentRow = [cookie: number, name: Name, ino: Ino, link: number, type: number, sum: number];

export class SqliteTreeStore implements TreeStore {
  private readonly cache: GenerationCache<Ino, Inode>;
  private dirty = new Map<Ino, Inode>();
  /** By {@link direntKey}; {@link ABSENT} where the tree is known to have none. */
  private readonly dirents: GenerationCache<string, Dirent>;
  /** By {@link direntKey}: entries that SQLite does not show yet; as a place only where the entry was removed. */
  private dirtyDirents = new Map<string, Dirent | Place>();
  /** Of the dirents that are or were in {@link dirtyDirents} since all were written. */
  private dirtyParents = new Set<Ino>();
  private readonly conflicts: ConflictTables;
  /** First cookies that two names of a directory shared, as `<parent>/<cookie>`: nearly always empty. */
  private readonly clashes = new Set<string>();
  private readonly inodeRows: InodeRows;
  /** The inode asked for last that is not there: the writes that make one ask for it again and again. */
  private missing: Ino | undefined;

  private readonly selectInos: Statement;
  private readonly selectDirent: Statement;
  private readonly selectHash: Statement;
  private readonly putDirent: Statement;
  private readonly insertDirent: Statement;
  private readonly removeDirent: Statement;
  private readonly listDirents: Statement;
  private readonly anyDirent: Statement;
  private readonly putClash: Statement;

  constructor(
    db: Connection,
    private readonly hash: NameHash,
    options: TreeStoreOptions = {},
  ) {
    this.cache = new GenerationCache(options.cachedInodes ?? DEFAULT_CACHED_INODES);
    this.dirents = new GenerationCache(options.cachedDirents ?? DEFAULT_CACHED_DIRENTS);
    this.inodeRows = new InodeRows(db);
    this.selectInos = db
      .prepare(
        `select ino from inode where ino > @last union select ino from removed where ino > @last order by ino limit ${INO_PAGE}`,
      )
      .pluck();
    const columns = 'cookie, name, ino, link, type, sum';
    this.selectDirent = db
      .prepare(`select ${columns} from dirent where parent = ? and cookie between ? and ? and name = ?`)
      .raw();
    this.selectHash = db
      .prepare(`select ${columns} from dirent where parent = ? and cookie between ? and ? order by cookie`)
      .raw();
    this.putDirent = db.prepare(
      `insert into dirent(parent, ${columns}) values (?, ?, ?, ?, ?, ?, ?)
       on conflict(parent, cookie) do update
       set ino = excluded.ino, link = excluded.link, type = excluded.type, sum = excluded.sum
       where name = excluded.name`,
    );
    this.insertDirent = db.prepare(`replace into dirent(parent, ${columns}) values (?, ?, ?, ?, ?, ?, ?)`);
    this.removeDirent = db.prepare('delete from dirent where parent = ? and cookie between ? and ? and name = ?');
    this.listDirents = db
      .prepare(`select ${columns} from dirent where parent = ? and cookie > ? order by cookie limit ?`)
      .raw();
    this.anyDirent = db.prepare('select 1 from dirent where parent = ? limit 1').pluck();
    this.putClash = db.prepare('insert into cookie_clash(parent, cookie, sum) values (?, ?, ?)');
    for (const [parent, cookie] of checkedRows<[Ino, number]>(db, 'cookie_clash', 'parent, cookie', 'parent, cookie')) {
      this.clashes.add(`${parent}/${cookie}`);
    }
    this.conflicts = new ConflictTables(db);
  }

  inode(ino: Ino): Inode | undefined {
    let inode = this.cache.get(ino) ?? this.dirty.get(ino);
    if (inode) return inode;
    if (ino === this.missing) return undefined;
    inode = this.inodeRows.read(ino);
    if (!inode) {
      this.missing = ino;
      return undefined;
    }
    this.cache.set(ino, inode);
    return inode;
  }

  insert(inode: Inode): void {
    this.missing = undefined;
    inode.linksApart = undefined; // another store's rows, if any
    this.cache.set(inode.ino, inode);
    this.dirty.set(inode.ino, inode);
  }

  touch(inode: Inode): void {
    this.dirty.set(inode.ino, inode);
  }

  get hasUnflushed(): boolean {
    return this.dirty.size > 0 || this.dirtyDirents.size > 0;
  }

  /** Writes every changed inode and dirent to SQLite. */
  flush(): void {
    for (const inode of this.dirty.values()) this.writeInode(inode);
    this.dirty = new Map(); // see tree-editor.ts on clear()
    this.flushDirents();
  }

  private flushDirents(): void {
    for (const dirent of this.dirtyDirents.values()) this.writeDirent(dirent);
    this.dirtyDirents = new Map();
    this.dirtyParents = new Set();
  }

  /** Writes one of the changes that are not the latest; some microseconds of work. Returns false when there is none. */
  flushSome(): boolean {
    const { dirty, dirtyDirents } = this;
    if (dirty.size > FLUSH_LAG) {
      const inode = dirty.values().next().value!;
      dirty.delete(inode.ino);
      this.writeInode(inode);
      return true;
    }
    if (dirtyDirents.size > FLUSH_LAG) {
      const key = dirtyDirents.keys().next().value!;
      this.writeDirent(dirtyDirents.get(key)!);
      dirtyDirents.delete(key);
      return true;
    }
    return false;
  }

  private writeInode(inode: Inode): void {
    this.inodeRows.write(inode);
    // Hardly anybody asks for a removed inode again: what is kept of it would be copied by one collection of the heap after the other.
    if (inode.nlink === 0) this.cache.delete(inode.ino);
  }

  lookup(parent: Ino, name: Name): Dirent | undefined {
    const key = direntKey(parent, name);
    const cached = this.dirents.get(key);
    if (cached) return cached === ABSENT ? undefined : cached;
    const dirent = this.readDirent(key, parent, name);
    this.dirents.set(key, dirent ?? ABSENT);
    return dirent;
  }

  private readDirent(key: string, parent: Ino, name: Name): Dirent | undefined {
    const dirty = this.dirtyDirents.get(key);
    if (dirty) return isDirent(dirty) ? dirty : undefined;
    const first = this.hash(name);
    const row = this.selectDirent.get(parent, first, first + COOKIES_PER_HASH - 1, name) as DirentRow | undefined;
    if (!row) return undefined;
    checkDirent(parent, row);
    return { parent, name, ino: row[2], link: row[3], type: row[4] };
  }

  setDirent(dirent: Dirent): void {
    const key = direntKey(dirent.parent, dirent.name);
    this.dirtyDirents.set(key, dirent);
    this.dirtyParents.add(dirent.parent);
    this.dirents.set(key, dirent);
  }

  deleteDirent(parent: Ino, name: Name): void {
    const key = direntKey(parent, name);
    this.dirtyDirents.set(key, { parent, name });
    this.dirtyParents.add(parent);
    this.dirents.set(key, ABSENT);
  }

  private writeDirent(dirent: Dirent | Place): void {
    const { parent, name } = dirent;
    const first = this.hash(name);
    if (!isDirent(dirent)) {
      this.removeDirent.run(parent, first, first + COOKIES_PER_HASH - 1, name);
      // As with inodes. What is absent and was asked for stays.
      const key = direntKey(parent, name);
      if (this.dirents.get(key) === ABSENT) this.dirents.delete(key);
      return;
    }
    const { ino, link, type } = dirent;
    const isPut =
      (this.clashes.size === 0 || !this.clashes.has(`${parent}/${first}`)) &&
      this.putDirent.run(parent, first, name, ino, link, type, rowSum(parent, first, name, ino, link, type)).changes ===
        1;
    if (!isPut) this.setClashing(dirent, first);
  }

  /** The slow way, for a name whose hash another name of the directory has or had. */
  private setClashing({ parent, name, ino, link, type }: Dirent, first: number): void {
    const rows = this.selectHash.all(parent, first, first + COOKIES_PER_HASH - 1) as DirentRow[];
    let cookie = rows.find((row) => row[1] === name)?.[0];
    if (cookie === undefined) {
      const taken = new Set(rows.map((row) => row[0]));
      cookie = first;
      while (taken.has(cookie)) cookie++;
      if (cookie >= first + COOKIES_PER_HASH) throw new Error(`directory ${parent}: too many names hash to ${first}`);
    }
    this.insertDirent.run(parent, cookie, name, ino, link, type, rowSum(parent, cookie, name, ino, link, type));
    const clash = `${parent}/${first}`;
    if (!this.clashes.has(clash)) {
      this.clashes.add(clash);
      this.putClash.run(parent, first, rowSum(parent, first));
    }
  }

  list(parent: Ino, after: number, limit: number): ListedDirent[] {
    this.flushDirents();
    const rows = this.listDirents.all(parent, after, limit) as DirentRow[];
    return rows.map((row) => {
      checkDirent(parent, row);
      const [cookie, name, ino, link, type] = row;
      return { parent, name, ino, link, type, cookie };
    });
  }

  hasEntries(parent: Ino): boolean {
    if (this.dirtyParents.has(parent)) this.flushDirents();
    return this.anyDirent.get(parent) !== undefined;
  }

  claims(parent: Ino, base: Name): readonly Claim[] {
    return this.conflicts.claims(parent, base);
  }

  setClaims(parent: Ino, base: Name, claims: readonly Claim[]): void {
    this.conflicts.setClaims(parent, base, claims);
  }

  contestedNames(parent: Ino): readonly Name[] {
    return this.conflicts.contestedNames(parent);
  }

  get hasContests(): boolean {
    return this.conflicts.hasContests;
  }

  contestedDirectories(): readonly Ino[] {
    return this.conflicts.contestedDirectories();
  }

  alias(ino: Ino): Ino | undefined {
    return this.conflicts.aliases.get(ino);
  }

  setAlias(ino: Ino, canonical: Ino | undefined): void {
    this.conflicts.aliases.set(ino, canonical);
  }

  aliasesOf(canonical: Ino): readonly Ino[] {
    return this.conflicts.aliases.of(canonical);
  }

  deferred(): ReadonlyMap<Ino, number> {
    return this.conflicts.deferred;
  }

  setDeferred(ino: Ino, candidate: number): void {
    this.conflicts.setDeferred(ino, candidate);
  }

  copy(ino: Ino): CopyOf | undefined {
    return this.conflicts.copies.get(ino);
  }

  setCopy(ino: Ino, copy: CopyOf | undefined): void {
    this.conflicts.copies.set(ino, copy);
  }

  copies(): ReadonlyMap<Ino, CopyOf> {
    return this.conflicts.copies.map;
  }

  copiesOf(source: Ino): readonly Ino[] {
    return this.conflicts.copies.of(source);
  }

  attributeContests(): ReadonlySet<Ino> {
    return this.conflicts.attributeContests;
  }

  setAttributeContest(ino: Ino, isContested: boolean): void {
    this.conflicts.setAttributeContest(ino, isContested);
  }

  *inodes(): Generator<Ino> {
    this.flush();
    let last = -1;
    for (;;) {
      // A page at a time: better-sqlite3 runs nothing else on a connection while a statement is being stepped.
      const page = this.selectInos.all({ last }) as Ino[];
      yield* page;
      if (page.length < INO_PAGE) return;
      last = page.at(-1)!;
    }
  }
}

function checkDirent(parent: Ino, [cookie, name, ino, link, type, sum]: DirentRow): void {
  checkRow(() => `entry ${JSON.stringify(name)} of directory ${parent}`, sum, parent, cookie, name, ino, link, type);
}

function direntKey(parent: Ino, name: Name): string {
  return `${parent}/${name}`;
}

function isDirent(dirent: Dirent | Place): dirent is Dirent {
  return 'ino' in dirent;
}

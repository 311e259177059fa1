// object-store.ts — the objects that this site holds: an index in SQLite over packs. Site thread only, the one writer.
// Invariant: `get` returns exactly the bytes that the id names, or throws; an object is in `object` or in `missing`, never in both.
// It shares the site thread's connection inside its open transaction: it never begins, commits or waits for the disk by itself.

import { existsSync, mkdirSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Database, Statement } from 'better-sqlite3';
import { LRUCache } from 'lru-cache';
import { CorruptionError } from '../codec/bytes.js';
import type { ObjectId } from '../crdt/ids.js';
import { rewriteFile } from '../file-rewriting.js';
import { LastingSync, syncPath } from '../file-sync.js';
import { AbsentObjects } from './absent-objects.js';
import { CollectionGuard } from './collection-guard.js';
import { chunkLengths, chunksOf, decodeManifest, INLINE_LIMIT } from './manifest.js';
import { MISSING_SCHEMA, MissingObjects } from './missing-objects.js';
import { ObjectKind, objectIdOf } from './object-kind.js';
import type { MissingObject } from './object-kind.js';
import { ObjectUse, USE_SCHEMA } from './object-use.js';
import { decodeRecordData, RECORD_HEADER_BYTES } from './pack-record.js';
import { PackReader } from './pack-reader.js';
import { PackTails } from './pack-tails.js';
import { PackWriter, scanPack } from './pack.js';
import type { PackedObject } from './pack.js';
import { UnsharedBytes } from './unshared-bytes.js';

/** What readers of content need of a store. */
export interface ObjectSource {
  has(id: ObjectId): boolean;
  /** The object's bytes, shared: not to be changed. AbsentObjects, CorruptionError. */
  get(id: ObjectId): Buffer;
}

/** An object that a collection copied to another pack. */
export interface MovedObject {
  readonly id: ObjectId;
  readonly from: { readonly pack: number; readonly offset: number };
  readonly to: { readonly pack: string; readonly offset: number };
}

/** An object that nothing needed when a collection marked all, and the number of the pack that it was in. */
export interface UnusedObject {
  readonly id: ObjectId;
  readonly pack: number;
}

export interface ObjectStoreOptions {
  /** Verified objects kept in memory, in bytes. */
  readonly cacheBytes?: number;
  /** Called after an object was found damaged and put on the missing list. */
  readonly onCorrupt?: (id: ObjectId, error: CorruptionError) => void;
}

const CACHE_BYTES = 64 << 20;
/** The cache counts at least this for an object, in bytes: its own bookkeeping. */
const ENTRY_BYTES = 256;

/** The tables; created where absent. */
const SCHEMA = `
  CREATE TABLE IF NOT EXISTS pack (number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
  CREATE TABLE IF NOT EXISTS object (
    id BLOB PRIMARY KEY, pack INTEGER NOT NULL, offset INTEGER NOT NULL,
    stored INTEGER NOT NULL, raw INTEGER NOT NULL, kind INTEGER NOT NULL, flags INTEGER NOT NULL
  ) WITHOUT ROWID;
  ${MISSING_SCHEMA}
  ${USE_SCHEMA}
`;

/** Finds an object's place; shared with {@link ObjectReader}. */
export const LOCATE = `
  SELECT pack.name AS pack, offset, stored, raw, kind, flags FROM object JOIN pack ON pack.number = object.pack WHERE id = ?
`;

export class ObjectStore implements ObjectSource {
  private readonly directory: string;
  private readonly writer: PackWriter;
  private readonly tails: PackTails;
  private readonly lastingSync: LastingSync;
  /** What other threads were told to sync, by the commit with which they will say that they did. */
  private readonly beingSynced: { readonly commit: number; readonly endBytes: ReadonlyMap<string, number> }[] = [];
  private lastTaken = 0;
  private readonly reader: PackReader;
  private readonly cache: LRUCache<ObjectId, Buffer>;
  private readonly onCorrupt: (id: ObjectId, error: CorruptionError) => void;
  private readonly packNumbers = new Map<string, number>();
  private readonly wants: MissingObjects;
  private readonly uses: ObjectUse;
  private readonly unshared: UnsharedBytes;
  /** Computed when first asked for: it reads the whole index. */
  private storedBytes: number | undefined;
  private guard: CollectionGuard | null = null;
  /** Packs that are about to be removed, or were: what comes to lie in one is lost. Names are never used twice. */
  private readonly retired = new Set<string>();
  private discards = 0;
  /** Whether the open transaction discards something: other threads, which see what is committed, take that for held. */
  private isDiscardOpen = false;
  /** What was discarded since nothing was being packed. */
  private readonly discarded = new Set<ObjectId>();
  /** Whether everything that a register names is wanted; else only what {@link want} says. */
  keepsAll = true;

  private readonly selectHas: Statement<[Buffer]>;
  private readonly selectPlace: Statement<[Buffer]>;
  private readonly insertObject: Statement<[Buffer, number, number, number, number, number, number]>;
  private readonly deleteObject: Statement<[Buffer]>;
  private readonly deleteUnused: Statement<[Buffer, number]>;
  private readonly selectStored: Statement<[Buffer, number]>;
  private readonly moveObject: Statement<[number, number, Buffer, number, number]>;
  private readonly selectBytes: Statement<[]>;

  private readonly db: Database;

  /** `directory` holds the packs; it is created where absent. */
  constructor(db: Database, directory: string, options: ObjectStoreOptions = {}) {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    this.db = db;
    this.directory = directory;
    this.lastingSync = new LastingSync(dirname(directory));
    this.writer = new PackWriter(directory, 'site');
    this.reader = new PackReader(directory);
    this.onCorrupt = options.onCorrupt ?? (() => {});
    this.cache = new LRUCache({
      maxSize: options.cacheBytes ?? CACHE_BYTES,
      sizeCalculation: (bytes) => bytes.length + ENTRY_BYTES,
    });
    db.exec(SCHEMA);
    this.tails = new PackTails(db);
    this.selectHas = db.prepare<[Buffer]>('SELECT 1 FROM object WHERE id = ?').pluck();
    this.selectPlace = db.prepare(LOCATE);
    this.insertObject = db.prepare('INSERT OR IGNORE INTO object VALUES (?, ?, ?, ?, ?, ?, ?)');
    this.deleteObject = db.prepare('DELETE FROM object WHERE id = ?');
    this.deleteUnused = db.prepare('DELETE FROM object WHERE id = ? AND pack = ?');
    this.selectStored = db.prepare<[Buffer, number]>('SELECT stored FROM object WHERE id = ? AND pack = ?').pluck();
    this.moveObject = db.prepare('UPDATE object SET pack = ?, offset = ? WHERE id = ? AND pack = ? AND offset = ?');
    this.selectBytes = db.prepare<[]>('SELECT total(stored) FROM object').pluck();
    this.wants = new MissingObjects(db);
    this.uses = new ObjectUse(db);
    this.unshared = new UnsharedBytes(db);
    for (const row of db.prepare<[], { number: number; name: string }>('SELECT number, name FROM pack').iterate()) {
      this.packNumbers.set(row.name, row.number);
    }
  }

  has(id: ObjectId): boolean {
    return this.cache.has(id) || this.selectHas.get(Buffer.from(id, 'hex')) !== undefined;
  }

  /**
   * The object's bytes, shared with other callers: not to be changed. Not held: AbsentObjects. Held but damaged: the object
   * becomes a missing one, which a peer can supply again, and CorruptionError is thrown.
   */
  get(id: ObjectId): Buffer {
    let bytes = this.cache.get(id);
    if (bytes === undefined) {
      bytes = this.load(id);
      this.cache.set(id, bytes);
    }
    if (!this.keepsAll) this.uses.note(id);
    return bytes;
  }

  private load(id: ObjectId): Buffer {
    const object = this.locate(id);
    if (!object) {
      this.name(id, ObjectKind.chunk); // nothing unless the index lost its row: then the kind does not matter
      throw new AbsentObjects([id]);
    }
    // What is still to be written needs no write to be read: the disk may be full, or fail.
    const staged = this.writer.stagedRecord(object);
    if (staged) return decodeRecordData(object, staged.subarray(RECORD_HEADER_BYTES), object.pack);
    try {
      return this.reader.read(object);
    } catch (error) {
      if (error instanceof CorruptionError) this.condemn(object, error);
      throw error;
    }
  }

  /** Where the object lies; undefined when it is not held. */
  locate(id: ObjectId): PackedObject | undefined {
    const place = this.selectPlace.get(Buffer.from(id, 'hex')) as Omit<PackedObject, 'id'> | undefined;
    return place && { id, ...place };
  }

  private condemn(object: PackedObject, error: CorruptionError): void {
    this.deleteObject.run(Buffer.from(object.id, 'hex'));
    if (this.storedBytes !== undefined) this.storedBytes -= object.stored;
    this.want(object.id, object.kind, object.raw);
    this.onCorrupt(object.id, error);
  }

  /** Reads the object from disk and verifies it, e.g. after another thread found it damaged. False when it is not held, or not any more. */
  verify(id: ObjectId): boolean {
    this.cache.delete(id);
    try {
      this.load(id);
      return true;
    } catch (error) {
      if (error instanceof CorruptionError || error instanceof AbsentObjects) return false;
      throw error;
    }
  }

  /**
   * Stores an object unless it is held, and returns its id. Its bytes are in a pack after {@link flush}, on stable storage after
   * {@link sync}. ENOSPC, EIO: nothing was stored.
   */
  put(kind: ObjectKind, bytes: Uint8Array): ObjectId {
    const id = objectIdOf(bytes);
    const blob = Buffer.from(id, 'hex');
    if (this.selectHas.get(blob) !== undefined) {
      this.guard?.cite(id);
      return id;
    }
    // What is asked of others may be known to them by a change of this site: then it is not to be lost again.
    const isKnown = this.wants.has(blob);
    const object = this.writer.stage(kind, id, bytes);
    if (this.index(object, blob)) this.unshared.add(object.stored);
    this.tails.written(this.packNumber(object.pack));
    if (isKnown) this.sync();
    return id;
  }

  /**
   * To be called before the transaction that names what was put is committed. EIO: what was put since the last one is in no pack,
   * though the open transaction says so: it must not be committed.
   */
  flush(): void {
    this.writer.flush();
    this.tails.note();
  }

  /**
   * Takes over objects that another thread has written to packs in the same directory, and made durable.
   * @param areShared they come from a site that keeps everything
   * @throws Error where not all of them {@link canAdopt}: none is taken, and if it is wanted, it stays so
   */
  adopt(objects: readonly PackedObject[], areShared = false): void {
    if (!this.canAdopt(objects)) throw new Error('objects came to packs that are being removed: have them sent again');
    for (const object of objects) {
      if (this.retired.has(object.pack)) continue;
      if (this.index(object, Buffer.from(object.id, 'hex')) && !areShared) this.unshared.add(object.stored);
    }
  }

  /** Whether the object was new. */
  private index(object: PackedObject, id: Buffer): boolean {
    const { kind, offset, stored, raw, flags } = object;
    this.guard?.cite(object.id);
    this.guard?.keepPack(object.pack);
    const added =
      this.insertObject.run(id, this.packNumber(object.pack), offset, stored, raw, kind, flags).changes === 1;
    if (added && this.storedBytes !== undefined) this.storedBytes += stored;
    this.wants.remove(id);
    if (!this.keepsAll) this.uses.note(object.id);
    return added;
  }

  private packNumber(name: string): number {
    let number = this.packNumbers.get(name);
    if (number === undefined) {
      number = Number(this.db.prepare('INSERT INTO pack (name) VALUES (?)').run(name).lastInsertRowid);
      this.packNumbers.set(name, number);
    }
    return number;
  }

  /** Notes that an object is needed; nothing happens when it is held. `bytes`: see {@link MissingObject}. */
  want(id: ObjectId, kind: ObjectKind, bytes = 0): void {
    const blob = Buffer.from(id, 'hex');
    this.guard?.cite(id);
    if (this.selectHas.get(blob) === undefined) this.wants.add(blob, kind, bytes);
  }

  /** A register or a view names the object: a collection that is under way leaves it, and a site that keeps everything wants it. */
  name(id: ObjectId, kind: ObjectKind, bytes = 0): void {
    if (this.keepsAll) this.want(id, kind, bytes);
    else this.guard?.cite(id);
  }

  isWanted(id: ObjectId): boolean {
    return this.wants.has(Buffer.from(id, 'hex'));
  }

  /** Wants what callers ask for and is neither held nor wanted, as what nobody had is: somebody may have it now. Whether there was any. */
  wantAgain(ids: readonly ObjectId[]): boolean {
    const before = this.wants.count;
    for (const id of ids) if (!this.isWanted(id)) this.name(id, ObjectKind.chunk);
    return this.wants.count > before;
  }

  /** A collection found that nothing needs these, or nobody has them: they are not asked for, but for those that were cited since. */
  unwant(ids: readonly ObjectId[]): void {
    for (const id of ids) if (!this.requireGuard().isCited(id)) this.wants.remove(Buffer.from(id, 'hex'));
  }

  /** From now on only what is read is asked for. */
  unwantAll(): void {
    this.wants.clear();
  }

  /** Up to `limit` objects that are wanted and not held, manifests first; `after`: those that follow this one, for the next page. */
  missing(limit: number, after?: MissingObject): MissingObject[] {
    return this.wants.list(limit, after);
  }

  missingCount(): number {
    return this.wants.count;
  }

  /** Of the content that waits for what is missing. */
  missingBytes(): number {
    return this.wants.bytes;
  }

  /** Bytes of what is held, as stored, and which no other site is known to keep. */
  unsharedBytes(): number {
    // What a collection gave up was counted when it came.
    return this.unshared.bytes === 0 ? 0 : Math.min(this.unshared.bytes, this.bytes());
  }

  /** From which change on there are such objects; null: there are none. */
  get unsharedFrom(): number | null {
    return this.unshared.first;
  }

  /** What came since the last time is named by the first so many changes, the open transaction's among them. */
  named(position: number): void {
    this.unshared.note(position);
  }

  /** The changes were counted anew, up to this many. */
  countedAnew(position: number): void {
    this.unshared.moved(position);
  }

  /** Another site keeps all that the changes up to this one name. Whether that is news. */
  shared(position: number): boolean {
    return this.unshared.shared(position);
  }

  /** Bytes of all objects held, as stored. */
  bytes(): number {
    return (this.storedBytes ??= this.selectBytes.get() as number);
  }

  /** fdatasync of this store's own packs. Fails for good once it failed. */
  sync(): void {
    this.noteSynced(this.lastingSync.run(() => this.writer.sync()));
  }

  /** @throws what made {@link sync} fail */
  checkSynced(): void {
    this.lastingSync.check();
  }

  private noteSynced(endBytes: ReadonlyMap<string, number>): void {
    for (const [name, end] of endBytes) {
      const number = this.packNumbers.get(name);
      // What a collection removed meanwhile has none any more.
      if (number !== undefined) this.tails.synced(number, end);
    }
  }

  /**
   * Instead of {@link sync}: paths (packs and their directory) that another thread must fsync for the same effect.
   * @param commit with which {@link durable} will say that it did
   */
  takeUnsynced(commit: number): string[] {
    const paths = this.writer.takeUnsynced();
    if (paths.length === 0) return paths;
    // Told of twice, it may be answered before the second time.
    this.lastTaken = Math.max(commit, this.lastTaken + 1);
    this.beingSynced.push({ commit: this.lastTaken, endBytes: this.writer.beingSynced() });
    return paths;
  }

  /** What was told with this commit, and before, is on stable storage. Whether the next {@link flush} has that to note. */
  durable(commit: number): boolean {
    while (this.beingSynced[0] && this.beingSynced[0].commit <= commit) {
      const { endBytes } = this.beingSynced.shift()!;
      this.writer.synced(endBytes);
      this.noteSynced(endBytes);
    }
    return this.tails.hasAdvanced;
  }

  /**
   * After a crash: looks at the objects that were not known to be on stable storage, gives up those that are not what they should be, and
   * makes the others durable. To be called before anything is put.
   * @param mayLackWrites a sync failed: what reads well may not be on the disk, and another sync would not write it
   * @returns what power loss took. It was written by this site, in commits that it has told nobody of; others may have the same bytes, so
   *   it is wanted.
   */
  recover(mayLackWrites = false): ObjectId[] {
    const select = this.db.prepare(
      'SELECT id, offset, stored, raw, kind, flags FROM object WHERE pack = ? AND offset >= ?',
    );
    const lost: PackedObject[] = [];
    const left = this.tails.left();
    for (const { name, pack, durable } of left) {
      for (const row of select.iterate(pack, durable) as Iterable<Omit<PackedObject, 'id' | 'pack'> & { id: Buffer }>) {
        const object = { ...row, id: row.id.toString('hex'), pack: name };
        if (!this.isIntact(object)) lost.push(object);
      }
      const path = join(this.directory, name);
      if (!existsSync(path)) continue;
      this.lastingSync.run(() => (mayLackWrites ? rewriteFile(path, durable) : syncPath(path)));
    }
    if (left.length > 0) syncPath(this.directory);
    for (const { id, kind, raw } of lost) {
      this.deleteObject.run(Buffer.from(id, 'hex'));
      this.want(id, kind, raw);
    }
    this.tails.clear();
    return lost.map(({ id }) => id);
  }

  private isIntact(object: PackedObject): boolean {
    try {
      this.reader.read(object);
      return true;
    } catch (error) {
      if (error instanceof CorruptionError) return false;
      throw error;
    }
  }

  /** Nothing names these any more: they are not asked for. */
  forgetWanted(ids: Iterable<ObjectId>): void {
    for (const id of ids) this.wants.remove(Buffer.from(id, 'hex'));
  }

  // ── collection ──────────────────────────────────────────────────────────────────────────────────────────────────────────────
  //
  // A collection marks what is needed as one commit left it, on another thread. From before that commit until it ends, everything
  // that names an object says so here (put, adopt, want, citeVersion), and what was named is not discarded. So between "nothing needs
  // it" and its removal nobody can come to need it unnoticed. Records are never changed: a pack is copied to others, the index says
  // so, and only when that is durable is the pack removed.

  /** Puts into the table when objects were read last. */
  writeUses(): void {
    this.uses.write();
  }

  /** Begins a collection, and ends the pack that is being written: what is in packs now stays as it is. The caller has just committed. */
  beginCollection(): void {
    this.guard = new CollectionGuard();
    this.writer.seal();
  }

  get collecting(): boolean {
    return this.guard !== null;
  }

  /** Nothing is being packed that was taken for held before. */
  forgetDiscarded(): void {
    this.discarded.clear();
  }

  /** What was discarded is so for other threads, too. */
  committed(): void {
    if (this.isDiscardOpen) this.discards++;
    this.isDiscardOpen = false;
  }

  /**
   * How often something was discarded, or became so for other threads: where one took an object for held when this was another number, it
   * must be looked at again.
   */
  get discardCount(): number {
    return this.discards;
  }

  /** A version is about to be named by a register: it and its chunks stay. */
  citeVersion(manifest: ObjectId): void {
    if (!this.guard || !this.has(manifest)) return;
    this.guard.cite(manifest);
    this.nameChunks(manifest);
  }

  /** As {@link name}, for a version and its chunks: it may have been of no use until now. @param bytes see {@link MissingObject} */
  nameVersion(manifest: ObjectId, bytes: number): void {
    this.name(manifest, ObjectKind.manifest, bytes);
    // The bytes of a shorter one are in its manifest.
    const hasChunks = bytes >= INLINE_LIMIT;
    if (hasChunks && (this.guard || this.keepsAll) && this.has(manifest)) this.nameChunks(manifest);
  }

  /** As {@link want}, for a version and its chunks. @param bytes see {@link MissingObject} */
  wantVersion(manifest: ObjectId, bytes: number): void {
    this.want(manifest, ObjectKind.manifest, bytes);
    if (this.has(manifest)) this.eachChunk(manifest, (chunk, length) => this.want(chunk, ObjectKind.chunk, length));
  }

  /** Of a version whose manifest is held. */
  private nameChunks(manifest: ObjectId): void {
    this.eachChunk(manifest, (chunk, bytes) => this.name(chunk, ObjectKind.chunk, bytes));
  }

  private eachChunk(manifest: ObjectId, visit: (chunk: ObjectId, bytes: number) => void): void {
    try {
      for (const [chunk, length] of chunkLengths(decodeManifest(this.get(manifest)))) visit(chunk, length);
    } catch (error) {
      if (!(error instanceof CorruptionError)) throw error; // it is a missing one now; its chunks are wanted when it comes
    }
  }

  /** Whether all of these are held after {@link adopt}, which takes none from a pack that is being removed. */
  canAdopt(packed: readonly PackedObject[]): boolean {
    return packed.every(({ pack, id }) => !this.retired.has(pack) || this.has(id));
  }

  /** Whether all of a version is held, or among `packed`, all of which {@link canAdopt}. False when its manifest is not. */
  holdsVersion(manifest: Uint8Array, id: ObjectId, packed: readonly PackedObject[]): boolean {
    const intact = new Set(packed.map((object) => object.id));
    const holds = (object: ObjectId): boolean => intact.has(object) || this.has(object);
    // Where not everything is kept, what its base names need not be here; what went just now would have to be.
    const isLeft = (object: ObjectId): boolean =>
      this.keepsAll ? holds(object) : !this.discarded.has(object) || holds(object);
    return holds(id) && chunksOf(decodeManifest(Buffer.from(manifest))).every(isLeft);
  }

  /** Whether a version's manifest is held, and every chunk that it names: a manifest may be here without them. */
  holdsWhole(manifest: ObjectId): boolean {
    if (!this.has(manifest)) return false;
    try {
      return chunksOf(decodeManifest(this.get(manifest))).every((chunk) => this.has(chunk));
    } catch (error) {
      if (error instanceof CorruptionError) return false; // it is a missing one now
      throw error;
    }
  }

  /** Forgets objects that nothing needed at the mark, but for those that were cited since. Returns how many stay. */
  discard(unused: readonly UnusedObject[]): number {
    let kept = 0;
    for (const { id, pack } of unused) {
      if (this.requireGuard().isCited(id)) {
        this.requireGuard().keepPack(this.packName(pack));
        kept++;
        continue;
      }
      const blob = Buffer.from(id, 'hex');
      const stored = this.selectStored.get(blob, pack) as number | undefined;
      if (stored === undefined) continue; // it was found damaged meanwhile
      this.deleteUnused.run(blob, pack);
      this.uses.forget(id, blob);
      this.discarded.add(id);
      this.cache.delete(id);
      if (this.storedBytes !== undefined) this.storedBytes -= stored;
    }
    this.discards++;
    this.isDiscardOpen = true;
    return kept;
  }

  /** Takes over the copies of objects in other packs, which are on stable storage. */
  move(moved: readonly MovedObject[]): void {
    for (const { id, from, to } of moved) {
      const blob = Buffer.from(id, 'hex');
      this.moveObject.run(this.packNumber(to.pack), to.offset, blob, from.pack, from.offset);
    }
  }

  /**
   * Gives up packs whose records were all discarded or moved. Returns those of which that is still so: nothing reads or adopts from them
   * any more, and once this is durable their files may go.
   */
  retire(packs: readonly string[]): string[] {
    const retired = packs.filter((name) => !this.requireGuard().keepsPack(name));
    for (const name of retired) this.retired.add(name);
    this.reader.forget(retired);
    return retired;
  }

  /** Ends a collection. `removed`: packs whose files are gone. */
  endCollection(removed: readonly string[]): void {
    for (const name of removed) {
      this.db.prepare('DELETE FROM pack WHERE name = ?').run(name);
      const number = this.packNumbers.get(name);
      if (number !== undefined) this.tails.removed(number);
      this.packNumbers.delete(name);
    }
    this.guard = null;
  }

  private requireGuard(): CollectionGuard {
    if (!this.guard) throw new Error('no collection is under way');
    return this.guard;
  }

  private packName(number: number): string {
    for (const [name, other] of this.packNumbers) if (other === number) return name;
    throw new Error(`no pack has number ${number}`);
  }

  /** Finds in the packs what the index lacks, e.g. after the database was lost; returns how many objects were added. Reads every pack. */
  reindex(): number {
    let added = 0;
    this.writer.flush();
    for (const name of readdirSync(this.directory).toSorted()) {
      if (!name.endsWith('.pack')) continue;
      for (const { object, intact } of scanPack(join(this.directory, name))) {
        if (!intact || !this.index(object, Buffer.from(object.id, 'hex'))) continue;
        this.unshared.add(object.stored);
        added++;
      }
    }
    return added;
  }

  /** All is on stable storage, and the open transaction says so. */
  settle(): void {
    this.sync();
    this.tails.clear();
  }

  close(): void {
    this.cache.clear();
    this.writer.close();
    this.reader.close();
  }
}

// object-reader.ts — the site's objects as other threads see them: through a read-only connection to the index, what the site
// thread has committed. Reads like ObjectStore, and verifies as much, but changes nothing: what it finds damaged is reported,
// for the site thread to look at with ObjectStore.verify.

import Database from 'better-sqlite3';
import type { Statement } from 'better-sqlite3';
import { LRUCache } from 'lru-cache';
import type { ObjectId } from '../crdt/ids.js';
import { BufferPool } from '../codec/buffer-pool.js';
import { AbsentObjects } from './absent-objects.js';
import type { MissingObject, ObjectKind } from './object-kind.js';
import { LOCATE } from './object-store.js';
import type { ObjectSource } from './object-store.js';
import { PackReader, recordBytes } from './pack-reader.js';
import type { PackedObject } from './pack.js';
import { SUM_UNSHARED } from './unshared-bytes.js';

const CACHE_BYTES = 8 << 20;
const ENTRY_BYTES = 256;
/** As much as waits to be sent to a peer or two. */
const SPARE_BYTES = 12 << 20;

export class ObjectReader implements ObjectSource {
  private readonly db: Database.Database;
  private readonly packs: PackReader;
  private readonly selectHas: Statement<[Buffer]>;
  private readonly selectPlace: Statement<[Buffer]>;
  private readonly selectMissing: Statement<[number]>;
  private readonly selectWanted: Statement<[Buffer]>;
  private readonly cache: LRUCache<ObjectId, Buffer>;
  private readonly buffers = new BufferPool(SPARE_BYTES);

  /** `databasePath`: the database in which an ObjectStore has its tables, committed at least once; `directory`: its packs. */
  constructor(databasePath: string, directory: string, cacheBytes = CACHE_BYTES) {
    this.db = new Database(databasePath, { readonly: true, fileMustExist: true });
    this.packs = new PackReader(directory);
    this.selectHas = this.db.prepare<[Buffer]>('SELECT 1 FROM object WHERE id = ?').pluck();
    this.selectPlace = this.db.prepare(LOCATE);
    this.selectWanted = this.db.prepare<[Buffer]>('SELECT 1 FROM missing WHERE kind IN (1, 2) AND id = ?').pluck();
    this.selectMissing = this.db.prepare('SELECT kind, id, bytes FROM missing ORDER BY kind, id LIMIT ?');
    this.cache = new LRUCache({ maxSize: cacheBytes, sizeCalculation: (bytes) => bytes.length + ENTRY_BYTES });
  }

  has(id: ObjectId): boolean {
    return this.selectHas.get(Buffer.from(id, 'hex')) !== undefined;
  }

  isWanted(id: ObjectId): boolean {
    return this.selectWanted.get(Buffer.from(id, 'hex')) !== undefined;
  }

  /** Bytes of what is held, as stored, and which no other site is known to keep: not too few. */
  unsharedBytes(): number {
    return this.db.prepare<[], number>(SUM_UNSHARED).pluck().get()!;
  }

  /** Where the object lies; undefined when it is not held. */
  locate(id: ObjectId): PackedObject | undefined {
    const place = this.selectPlace.get(Buffer.from(id, 'hex')) as Omit<PackedObject, 'id'> | undefined;
    return place && { id, ...place };
  }

  /** The object's bytes, shared: not to be changed. AbsentObjects; CorruptionError naming the id. */
  get(id: ObjectId): Buffer {
    let bytes = this.cache.get(id);
    if (bytes === undefined) {
      bytes = this.read(id);
      this.cache.set(id, bytes);
    }
    return bytes;
  }

  /**
   * The object's bytes for one who needs them once, in a buffer that is used again after `release`, if that is called. Throws as
   * {@link get}.
   */
  lend(id: ObjectId): { kind: ObjectKind; bytes: Buffer; release: () => void } {
    return this.readWhereItLies(id, (object) => {
      const lent = this.buffers.take(recordBytes(object));
      const bytes = this.packs.read(object, lent);
      return { kind: object.kind, bytes, release: () => this.buffers.give(lent) };
    });
  }

  private read(id: ObjectId): Buffer {
    return this.readWhereItLies(id, (object) => this.packs.read(object));
  }

  private readWhereItLies<T>(id: ObjectId, read: (object: PackedObject) => T): T {
    let object = this.locate(id);
    for (;;) {
      if (!object) throw new AbsentObjects([id]);
      const tried: PackedObject = object;
      try {
        return read(tried);
      } catch (error) {
        object = this.locate(id);
        // A collection may have moved it between the two looks.
        if (object && object.pack === tried.pack && object.offset === tried.offset) throw error;
      }
    }
  }

  /** A collection removed these packs. */
  forgetPacks(packs: readonly string[]): void {
    this.packs.forget(packs);
  }

  /** Up to `limit` objects that the site wants and does not hold, manifests first. */
  missing(limit: number): MissingObject[] {
    const rows = this.selectMissing.all(limit) as { kind: ObjectKind; id: Buffer; bytes: number }[];
    return rows.map(({ kind, id, bytes }) => ({ kind, id: id.toString('hex'), bytes }));
  }

  close(): void {
    this.cache.clear();
    this.packs.close();
    this.db.close();
  }
}

// fsck-objects.ts — checks where objects are said to lie, that what files need is here or asked for, and every object's bytes.
// Invariant: reads only, in short reads; beside a running site an object that moved or went meanwhile is looked at once more before
// it counts as a fault. Objects are read in the order in which they lie.

import { closeSync, existsSync, openSync, readdirSync, readSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { chunksOf, decodeManifest } from '../chunks/manifest.js';
import { LOCATE } from '../chunks/object-store.js';
import { PackReader } from '../chunks/pack-reader.js';
import { checkPackHeader, PACK_HEADER_BYTES, RECORD_HEADER_BYTES } from '../chunks/pack-record.js';
import type { PackedObject } from '../chunks/pack.js';
import { CorruptionError } from '../codec/bytes.js';
import { parseHead } from '../crdt/fields.js';
import type { Ino, ObjectId } from '../crdt/ids.js';
import type { TreeStore } from '../crdt/tree-store.js';
import { InodeRows } from '../journal/inode-rows.js';
import type { Connection } from '../journal/schema.js';
import type { Fault, FaultClass, Tell } from './fsck-report.js';

const ROWS_PER_READ = 1_000;
const MOUNT_REMEDY = 'a linked site that has it sends it again: weft fsck --repair while mounted and linked';

type ObjectRow = [id: Buffer, pack: number, offset: number, stored: number, kind: number, name: string | null];

export class ObjectCheck {
  objects = 0;
  bytes = 0;
  private readonly packs: PackReader;
  /** Objects with a fault, by id. */
  private readonly damaged = new Map<ObjectId, Fault>();

  constructor(
    private readonly db: Connection,
    private readonly directory: string,
    private readonly faults: Fault[],
    private readonly tell: Tell,
    /** What is shown and neither held nor wanted is a fault; at a site that fetches what is read it is not. */
    private readonly keepsAll: boolean,
  ) {
    this.packs = new PackReader(directory);
  }

  /**
   * @param store registers of all inodes
   * @param pathOf where an inode is shown
   */
  run(store: TreeStore, pathOf: (ino: Ino) => string | undefined, withData: boolean): void {
    try {
      this.checkPacks(this.checkIndex(withData));
      this.checkNeeded(store, pathOf, withData);
    } finally {
      this.packs.close();
    }
  }

  private fault(kind: FaultClass, what: string, remedy: string, object?: ObjectId): void {
    if (object !== undefined && this.damaged.has(object)) return;
    const fault: Fault = {
      class: kind,
      what,
      paths: [],
      repaired: false,
      remedy,
      ...(object === undefined ? {} : { object }),
    };
    this.faults.push(fault);
    if (object !== undefined) this.damaged.set(object, fault);
  }

  /** @param named those that the index has something in: a collection removes the others, be they what they are */
  private checkPacks(named: ReadonlySet<string>): void {
    if (!existsSync(this.directory)) return;
    const header = Buffer.alloc(PACK_HEADER_BYTES);
    for (const name of readdirSync(this.directory)) {
      if (!name.endsWith('.pack') || !named.has(name)) continue;
      const path = join(this.directory, name);
      try {
        const fd = openSync(path, 'r');
        try {
          const headerBytes = readSync(fd, header, 0, PACK_HEADER_BYTES, 0);
          // Its writer was killed before it wrote anything: there are no records in it, and a collection removes it.
          if (headerBytes > 0) checkPackHeader(header.subarray(0, headerBytes), path);
        } finally {
          closeSync(fd);
        }
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') continue; // given back meanwhile
        this.fault(
          'index',
          `${(error as Error).message}: its records can be read, a scan would pass it by`,
          'weft fsck --repair',
        );
      }
    }
  }

  /** @returns the packs that are named in it */
  private checkIndex(withData: boolean): Set<string> {
    const sizes = new Map<string, number>();
    const columns = 'object.id, object.pack, object.offset, object.stored, object.kind, pack.name';
    const select = this.db
      .prepare(
        `select ${columns} from object left join pack on pack.number = object.pack where object.id > ?
         order by object.id limit ${ROWS_PER_READ}`,
      )
      .raw();
    const places: [pack: string, offset: number, id: ObjectId][] = [];
    try {
      for (let last = Buffer.alloc(0); ;) {
        const rows = select.all(last) as ObjectRow[];
        for (const [id, , offset, stored, , name] of rows) {
          const object = id.toString('hex');
          this.objects++;
          const size = name === null ? -1 : this.sizeOf(name, sizes);
          if (size < offset + RECORD_HEADER_BYTES + stored && this.isStillWrong(object)) {
            this.fault('index', `object ${object}: lies beyond the end of ${name ?? 'any pack'}`, MOUNT_REMEDY, object);
          } else if (withData) places.push([name!, offset, object]);
        }
        if (rows.length < ROWS_PER_READ) break;
        last = Buffer.from(rows.at(-1)![0]);
      }
    } catch (error) {
      this.fault('index', `the index of objects: ${(error as Error).message}`, 'weft umount, then weft fsck --repair');
    }
    if (withData) this.readAll(places);
    return new Set(sizes.keys());
  }

  private sizeOf(pack: string, sizes: Map<string, number>): number {
    let size = sizes.get(pack);
    if (size === undefined) {
      size = statSync(join(this.directory, pack), { throwIfNoEntry: false })?.size ?? -1;
      sizes.set(pack, size);
    }
    return size;
  }

  /** Packs are written to, and objects move, while the site runs. */
  private isStillWrong(id: ObjectId): boolean {
    const place = this.locate(id);
    if (!place) return false;
    const size = statSync(join(this.directory, place.pack), { throwIfNoEntry: false })?.size ?? -1;
    return size < place.offset + RECORD_HEADER_BYTES + place.stored;
  }

  private locate(id: ObjectId): PackedObject | undefined {
    const place = this.db.prepare(LOCATE).get(Buffer.from(id, 'hex')) as Omit<PackedObject, 'id'> | undefined;
    return place && { id, ...place };
  }

  private readAll(places: [pack: string, offset: number, id: ObjectId][]): void {
    places.sort(([a, x], [b, y]) => (a === b ? x - y : a < b ? -1 : 1));
    for (const [i, [, , id]] of places.entries()) {
      this.readObject(id);
      this.tell('objects', i + 1, places.length);
    }
  }

  /** The object's bytes, verified; undefined when it is not held, or damaged: then that is a fault. */
  private readObject(id: ObjectId): Buffer | undefined {
    for (let attempt = 0; ; attempt++) {
      const place = this.locate(id);
      if (!place) return undefined;
      try {
        const bytes = this.packs.read(place);
        this.bytes += place.stored;
        return bytes;
      } catch (error) {
        if (!(error instanceof CorruptionError)) throw error;
        const now = this.locate(id);
        if (attempt === 0 && (now?.pack !== place.pack || now.offset !== place.offset)) continue;
        this.fault('object', error.message, MOUNT_REMEDY, id);
        return undefined;
      }
    }
  }

  /** Every version that is shown or in conflict: its manifest, and with its data its chunks, are held, or asked of other sites. */
  private checkNeeded(store: TreeStore, pathOf: (ino: Ino) => string | undefined, withData: boolean): void {
    const held = this.db.prepare('select 1 from object where id = ?').pluck();
    const wanted = this.db.prepare('select 1 from missing where kind in (1, 2) and id = ?').pluck();
    const isKnown = (id: ObjectId): boolean => {
      const blob = Buffer.from(id, 'hex');
      return held.get(blob) !== undefined || wanted.get(blob) !== undefined;
    };
    const inodes = new InodeRows(this.db);
    // Beside a running site another version may have taken its place meanwhile, or the object have come.
    const isStillShown = (ino: Ino, manifest: ObjectId): boolean => {
      try {
        const heads = inodes.read(ino)?.registers.get('head');
        return !heads || heads.some(({ value }) => parseHead(value).manifest === manifest);
      } catch (error) {
        if (error instanceof CorruptionError) return true; // told of already
        throw error;
      }
    };
    const need = (id: ObjectId, kind: string, ino: Ino, manifest: ObjectId): void => {
      if (this.keepsAll && !isKnown(id) && isStillShown(ino, manifest) && !isKnown(id))
        this.fault('absent', `${kind} ${id} is neither here nor asked of other sites`, MOUNT_REMEDY, id);
      const path = pathOf(ino);
      const fault = this.damaged.get(id);
      if (fault && path !== undefined && !fault.paths.includes(path)) fault.paths.push(path);
    };
    // Chunks are looked at where every object was, or where one is known to be damaged: whose file is it?
    const readsManifests = withData || this.damaged.size > 0;
    for (const ino of store.inodes()) {
      if (pathOf(ino) === undefined) continue;
      for (const { value } of store.inode(ino)!.registers.get('head') ?? []) {
        const { manifest } = parseHead(value);
        need(manifest, 'manifest', ino, manifest);
        if (!readsManifests || this.damaged.has(manifest)) continue;
        const bytes = this.readObject(manifest);
        if (!bytes) continue;
        for (const chunk of chunksOf(decodeManifest(bytes))) need(chunk, 'chunk', ino, manifest);
      }
    }
  }
}

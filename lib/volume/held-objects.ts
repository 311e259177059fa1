// held-objects.ts — which objects a snapshot of the state holds, and the manifests among them, for surveys on other threads.

import { join } from 'node:path';
import { CorruptionError } from '../codec/bytes.js';
import type { ObjectId } from '../crdt/ids.js';
import { decodeManifest, type Manifest } from '../chunks/manifest.js';
import type { ObjectKind } from '../chunks/object-kind.js';
import { LOCATE } from '../chunks/object-store.js';
import { PackReader } from '../chunks/pack-reader.js';
import type { PackedObject } from '../chunks/pack.js';
import type { Connection, Statement } from '../journal/schema.js';

export interface HeldObject {
  readonly pack: number;
  /** Bytes of its record. */
  readonly stored: number;
  readonly kind: ObjectKind;
}

export class HeldObjects {
  private readonly packs: PackReader;
  private readonly selectPlace: Statement;
  private readonly selectHeld: Statement;
  private readonly selectWanted: Statement;

  constructor(db: Connection, stateDirectory: string) {
    this.packs = new PackReader(join(stateDirectory, 'packs'));
    this.selectPlace = db.prepare(LOCATE);
    this.selectHeld = db.prepare('select pack, stored, kind from object where id = ?');
    this.selectWanted = db.prepare('select 1 from missing where kind = ? and id = ?').pluck();
  }

  find(id: ObjectId): HeldObject | undefined {
    return this.selectHeld.get(Buffer.from(id, 'hex')) as HeldObject | undefined;
  }

  isWanted(id: ObjectId, kind: ObjectKind): boolean {
    return this.selectWanted.get(kind, Buffer.from(id, 'hex')) !== undefined;
  }

  /** Undefined when it is not held, or damaged: who reads it as a file has that noticed. */
  manifest(id: ObjectId): Manifest | undefined {
    const place = this.selectPlace.get(Buffer.from(id, 'hex')) as Omit<PackedObject, 'id'> | undefined;
    if (!place) return undefined;
    try {
      return decodeManifest(this.packs.read({ id, ...place }));
    } catch (error) {
      if (error instanceof CorruptionError) return undefined;
      throw error;
    }
  }

  close(): void {
    this.packs.close();
  }
}

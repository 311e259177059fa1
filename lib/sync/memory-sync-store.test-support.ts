// memory-sync-store.test-support.ts — a SyncStore in memory, for tests and simulations of links: changes are JSON that names its causal
// dependencies and its objects, and every rule that a real store relies on is checked as it is used.
// Durability comes when the caller says so: each piece of work goes through `later`.

import { createHash } from 'node:crypto';
import { covers, raise } from './version-vector.js';
import type { ShippedChange, ShippedObject, SyncStore } from './ports.js';
import type { ActorId, ObjectId, SiteId } from '../crdt/ids.js';
import type { VersionVector } from '../crdt/change.js';

interface ChangeBody {
  actor: ActorId;
  seq: number;
  /** Vector entries that must be held before. */
  after: [ActorId, number][];
  objects: ObjectId[];
  filler: string;
}

const NOTHING: VersionVector = new Map();
const MANIFEST = 1;
const CHUNK = 2;

export class MemorySyncStore implements SyncStore {
  readonly volumeId: string;
  readonly log: ShippedChange[] = [];
  readonly objects = new Map<ObjectId, { kind: number; bytes: Buffer }>();
  /** Called whenever vector() or missing() changed. */
  onAdvanced: () => void = () => {};
  slotNumber: number | null;
  /** Makes storeObjects and ingest fail, as a full disk would. */
  full = false;
  keepsEverything = true;
  ingestedCount = 0;
  duplicateCount = 0;
  storedBytes = 0;

  private readonly durable = new Map<ActorId, number>();
  /** Durable and what is being made durable. */
  private readonly accepted = new Map<ActorId, number>();
  private readonly absent = new Set<ObjectId>();
  /** How far into the log a caller's live vector is known to reach. */
  private readonly cursors = new WeakMap<VersionVector, number>();

  constructor(
    readonly siteName: string,
    readonly siteId: SiteId,
    private readonly later: (work: () => void) => void,
    options: { volumeId?: string; slot?: number | null } = {},
  ) {
    this.volumeId = options.volumeId ?? 'volume-1';
    this.slotNumber = options.slot ?? null;
  }

  keepsAll(): boolean {
    return this.keepsEverything;
  }

  async kept(ids: readonly ObjectId[]): Promise<readonly ObjectId[]> {
    return this.keepsEverything ? ids.filter((id) => this.objects.has(id)) : [];
  }

  slot(): number | null {
    return this.slotNumber;
  }

  vector(): VersionVector {
    return this.durable;
  }

  /** A local commit that names these objects' ids; durable once `later` got to it. */
  commit(actor: ActorId, objects: readonly ObjectId[] = [], fillerBytes = 0): Promise<void> {
    const seq = (this.accepted.get(actor) ?? 0) + 1;
    const after = [...this.durable].filter(([other]) => other !== actor).slice(0, 8);
    const body: ChangeBody = { actor, seq, after, objects: [...objects], filler: '.'.repeat(fillerBytes) };
    this.accepted.set(actor, seq);
    return this.work(() => this.apply({ actor, seq, bytes: Buffer.from(JSON.stringify(body)), deps: [] }, body));
  }

  /** Holds a file of these chunks; gives the id of its manifest. */
  putFile(chunks: readonly Buffer[]): ObjectId {
    const ids = chunks.map((bytes) => this.put(CHUNK, bytes));
    return this.put(MANIFEST, Buffer.from(JSON.stringify(ids)));
  }

  private put(kind: number, bytes: Buffer): ObjectId {
    const id = createHash('sha256').update(bytes).digest('hex');
    this.objects.set(id, { kind, bytes });
    this.absent.delete(id);
    if (kind === MANIFEST) this.needAll(JSON.parse(bytes.toString()) as ObjectId[]);
    return id;
  }

  floor(): VersionVector {
    return NOTHING;
  }

  baseOffer(): null {
    return null;
  }

  readBase(): null {
    return null;
  }

  takeOffer(): Promise<never> {
    return Promise.reject(new Error('a store of changes alone'));
  }

  storeBase(): Promise<never> {
    return Promise.reject(new Error('a store of changes alone'));
  }

  changesAfter(known: VersionVector, maxBytes: number): { changes: ShippedChange[]; done: boolean } {
    const changes: ShippedChange[] = [];
    let bytes = 0;
    let at = this.cursors.get(known) ?? 0;
    while (at < this.log.length && this.log[at]!.seq <= (known.get(this.log[at]!.actor) ?? 0)) at++;
    this.cursors.set(known, at);
    for (; at < this.log.length; at++) {
      const change = this.log[at]!;
      if (change.seq <= (known.get(change.actor) ?? 0)) continue;
      if (changes.length > 0 && bytes + change.bytes.length > maxBytes) return { changes, done: false };
      changes.push(change);
      bytes += change.bytes.length;
    }
    return { changes, done: true };
  }

  bytesAfter(known: VersionVector): number {
    let bytes = 0;
    for (const change of this.log) if (change.seq > (known.get(change.actor) ?? 0)) bytes += change.bytes.length;
    return bytes;
  }

  ingest(changes: readonly ShippedChange[], _from: SiteId): Promise<void> {
    if (this.full) return Promise.reject(noRoom());
    const fresh: [ShippedChange, ChangeBody][] = [];
    for (const view of changes) {
      const bytes = Buffer.from(view.bytes);
      let body: ChangeBody;
      try {
        body = JSON.parse(bytes.toString()) as ChangeBody;
      } catch {
        return Promise.reject(new Error(`not a change: ${bytes.toString('latin1', 0, 20)}`));
      }
      const { actor, seq } = body;
      this.ingestedCount++;
      if (seq <= (this.accepted.get(actor) ?? 0)) {
        this.duplicateCount++;
        continue;
      }
      if (seq !== (this.accepted.get(actor) ?? 0) + 1 || !covers(this.accepted, new Map(body.after))) {
        return Promise.reject(new Error(`change ${seq} of ${actor} came before what it depends on`));
      }
      this.accepted.set(actor, seq);
      fresh.push([{ actor, seq, bytes, deps: [] }, body]);
    }
    return this.work(() => {
      for (const [change, body] of fresh) this.apply(change, body);
    });
  }

  missing(limit: number): readonly ObjectId[] {
    const ids: ObjectId[] = [];
    for (const id of this.absent) {
      if (ids.length >= limit) break;
      ids.push(id);
    }
    return ids;
  }

  /** Objects that were said to be at no linked peer. */
  readonly nowhere = new Set<ObjectId>();

  absentEverywhere(ids: readonly ObjectId[]): void {
    for (const id of ids) this.nowhere.add(id);
  }

  missingCount(): number {
    return this.absent.size;
  }

  readObject(id: ObjectId): Promise<{ kind: number; bytes: Uint8Array } | undefined> {
    return new Promise((resolve) => this.later(() => resolve(this.objects.get(id))));
  }

  /** What a peer that keeps everything has, with all objects. */
  readonly safe = new Map<ActorId, number>();

  keptElsewhere(vector: VersionVector): void {
    raise(this.safe, vector);
  }

  storeObjects(objects: readonly ShippedObject[]): Promise<void> {
    if (this.full) return Promise.reject(noRoom());
    for (const { id, bytes } of objects) {
      const actual = createHash('sha256').update(bytes).digest('hex');
      if (actual !== id) return Promise.reject(new Error(`object ${id} has the bytes of ${actual}`));
    }
    return this.work(() => {
      for (const { kind, bytes } of objects) {
        this.storedBytes += bytes.length;
        this.put(kind, Buffer.from(bytes));
      }
    });
  }

  flush(): Promise<void> {
    return this.work(() => {});
  }

  private apply(change: ShippedChange, body: ChangeBody): void {
    this.log.push(change);
    this.durable.set(change.actor, change.seq);
    this.needAll(body.objects);
  }

  private needAll(ids: readonly ObjectId[]): void {
    for (const id of ids) if (!this.objects.has(id)) this.absent.add(id);
  }

  /** Work is done in order. */
  private work(effect: () => void): Promise<void> {
    return new Promise((resolve) =>
      this.later(() => {
        effect();
        resolve();
        this.onAdvanced();
      }),
    );
  }
}

function noRoom(): Error {
  return Object.assign(new Error('no space left on device'), { code: 'ENOSPC' });
}

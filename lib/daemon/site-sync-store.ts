// site-sync-store.ts — this site's changes and objects as the links see them (lib/sync/ports.ts).
// Invariant: only what is durable is offered or acknowledged. Reads go to SQLite and packs directly, through connections of the
// main thread; everything that changes state is asked of the site thread.

import { AbsentObjects } from '../chunks/absent-objects.js';
import { isObjectKind } from '../chunks/object-kind.js';
import { ObjectReader } from '../chunks/object-reader.js';
import type { PackedObject } from '../chunks/pack.js';
import type { ReceivedObject } from '../chunks/received-objects.js';
import { CorruptionError } from '../codec/bytes.js';
import type { VersionVector } from '../crdt/change.js';
import type { Ino, ObjectId, SiteId } from '../crdt/ids.js';
import type { BaseOffer, BasePart } from '../journal/base-part.js';
import { type JournaledChange, JournalReader } from '../journal/journal-reader.js';
import { DamagedChange } from '../journal/lost-changes.js';
import { statePath } from '../journal/schema.js';
import { join } from 'node:path';
import type { ShippedChange, ShippedObject, SyncStore } from '../sync/ports.js';
import type { SiteConfig } from './daemon-interface.js';
import type { DurableCommits } from './durable-commits.js';
import { unlessEnded } from './site-ended.js';
import type { RequestName, Requests } from './thread-protocol.js';

/** What the site thread answers; rejects with why it could not. */
export interface SiteRequests {
  request<N extends RequestName>(name: N, args: Requests[N]['args']): Promise<Requests[N]['reply']>;
}

/** Verifies objects of peers, packs them and makes them durable: lib/chunks/received-objects.ts. */
export interface ObjectIntake {
  store(objects: readonly ReceivedObject[]): Promise<PackedObject[]>;
  seal(): Promise<void>;
  close(): Promise<void>;
}

/** Who waits for objects here. */
export interface ObjectNeeds {
  /** What callers wait for; asked for before anything else. */
  urgent(): Iterable<ObjectId>;
  /** They take so many bytes. */
  arrived(ids: readonly ObjectId[], bytes: number): void;
  /** Whether nothing is to be fetched now: what is here has to make room first. */
  readonly rests: boolean;
  /** A peer asked for it, and it is not held. */
  askedByPeer(id: ObjectId): void;
  /** Whether this site fetches and keeps everything. */
  readonly keepsAll: boolean;
  /** No linked peer holds these. */
  absentEverywhere(ids: readonly ObjectId[]): void;
}

/** So many objects the site thread takes without looking whether a caller waits: some 20 µs each, and a commit. */
const ADOPT_AT_ONCE = 128;

const NO_NEEDS: ObjectNeeds = {
  keepsAll: true,
  rests: false,
  urgent: () => [],
  arrived: () => {},
  askedByPeer: () => {},
  absentEverywhere: () => {},
};

export class SiteSyncStore implements SyncStore {
  readonly volumeId: string;
  readonly siteId: SiteId;
  private readonly journal: JournalReader;
  private readonly objects: ObjectReader;
  private servedBase = false;
  /** What was handed over and is not in the index yet. */
  private readonly storing = new Set<Promise<void>>();
  /** About to be adopted, by whether another site keeps them. */
  private readonly adopting = new Map<boolean, { packed: PackedObject[]; adopted: Promise<void> }>();

  constructor(
    private readonly site: SiteRequests,
    private readonly durable: DurableCommits,
    private readonly received: ObjectIntake,
    private readonly config: () => SiteConfig,
    stateDirectory: string,
    private readonly needs: ObjectNeeds = NO_NEEDS,
  ) {
    const { volumeId, siteId } = config();
    this.volumeId = volumeId;
    this.siteId = siteId;
    this.journal = JournalReader.open(stateDirectory);
    this.objects = new ObjectReader(statePath(stateDirectory), join(stateDirectory, 'packs'));
  }

  /** People may change it. */
  get siteName(): string {
    return this.config().site;
  }

  slot(): number | null {
    return this.config().slot;
  }

  vector(): VersionVector {
    return this.durable.vector;
  }

  changesAfter(known: VersionVector, maxBytes: number): { changes: ShippedChange[]; done: boolean } {
    const changes: ShippedChange[] = [];
    const seen = new Map(known);
    for (const { actor, seq, bytes, deps } of this.readChanges(known, maxBytes)) {
      // Behind a change that is not durable yet come only ones that build on it, or that are not durable either.
      if (seq > (this.durable.vector.get(actor) ?? 0)) break;
      changes.push({ actor, seq, bytes, deps });
      seen.set(actor, seq);
    }
    return { changes, done: this.covers(seen) || changes.length === 0 };
  }

  /** One that is damaged is reported to the site thread, which gives it up: it is behind the durable vector then. */
  private readChanges(known: VersionVector, maxBytes: number): readonly JournaledChange[] {
    try {
      return this.journal.changesAfter(known, maxBytes);
    } catch (error) {
      if (!(error instanceof DamagedChange)) throw error;
      const { actor, seq } = error;
      unlessEnded(this.site.request('verifyChanges', { changes: [{ actor, seq }] }));
      return [];
    }
  }

  private covers(seen: VersionVector): boolean {
    for (const [actor, seq] of this.durable.vector) if ((seen.get(actor) ?? 0) < seq) return false;
    return true;
  }

  floor(): VersionVector {
    return this.journal.floor();
  }

  baseOffer(): BaseOffer | null {
    return this.journal.baseOffer();
  }

  readBase(id: string, after: Ino, maxBytes: number): BasePart | null {
    this.servedBase = true;
    return this.journal.readBase(id, after, maxBytes);
  }

  /** Whether a peer was sent some of the base since this was asked last: it is better not to change meanwhile. */
  takeServedBase(): boolean {
    const { servedBase } = this;
    this.servedBase = false;
    return servedBase;
  }

  async takeOffer(offer: BaseOffer): Promise<Ino | null> {
    return (await this.site.request('baseOffered', { offer })).after;
  }

  async storeBase(part: BasePart, from: SiteId): Promise<Ino | null> {
    const bytes = Uint8Array.from(part.bytes);
    const { after } = await this.site.request('basePart', { part: { ...part, bytes }, from });
    await this.durable.reached(this.durable.lastReported);
    return after;
  }

  bytesAfter(known: VersionVector): number {
    return this.journal.bytesAfter(known);
  }

  /** Bytes of the content that is at no other site which keeps everything. */
  unsharedContentBytes(): number {
    return this.objects.unsharedBytes();
  }

  async ingest(changes: readonly ShippedChange[], from: SiteId): Promise<void> {
    const bytes = changes.map((change) => change.bytes);
    const deps = changes.map((change) => change.deps);
    await this.site.request('changes', { changes: bytes, deps, from });
    // Messages keep their order: the last commit that was reported holds what was answered before.
    await this.durable.reached(this.durable.lastReported);
  }

  missing(limit: number): readonly ObjectId[] {
    if (this.needs.rests) return [];
    const urgent: ObjectId[] = [];
    for (const id of this.needs.urgent()) {
      if (urgent.length === limit) break;
      if (!this.objects.has(id)) urgent.push(id);
    }
    const first = new Set(urgent);
    if (this.durable.missing === 0) return urgent;
    for (const { id } of this.objects.missing(limit - urgent.length)) first.add(id);
    return [...first];
  }

  /** Whether an object is held, by the last commit. */
  holds(id: ObjectId): boolean {
    return this.objects.has(id);
  }

  /** Whether it is fetched though nobody waits for it, by the last commit. */
  isWanted(id: ObjectId): boolean {
    return this.objects.isWanted(id);
  }

  keepsAll(): boolean {
    return this.needs.keepsAll;
  }

  async kept(ids: readonly ObjectId[]): Promise<readonly ObjectId[]> {
    if (!this.needs.keepsAll) return [];
    const held = ids.filter((id) => this.objects.has(id));
    const { commit } = await this.site.request('fold', null);
    await this.durable.reached(commit);
    // What the asker knows of is known here, so nothing gave it up meanwhile; but somebody may have chosen not to keep everything.
    return this.needs.keepsAll ? held : [];
  }

  missingCount(): number {
    return this.durable.missing;
  }

  absentEverywhere(ids: readonly ObjectId[]): void {
    this.needs.absentEverywhere(ids);
  }

  /** A collection removed these packs. */
  forgetPacks(packs: readonly string[]): void {
    this.objects.forgetPacks(packs);
  }

  async readObject(id: ObjectId): Promise<Omit<ShippedObject, 'id'> | undefined> {
    try {
      return this.objects.lend(id);
    } catch (error) {
      if (error instanceof AbsentObjects) {
        this.needs.askedByPeer(id);
        return undefined;
      }
      if (!(error instanceof CorruptionError)) throw error;
      await this.site.request('verify', { ids: [id] });
      return undefined;
    }
  }

  keptElsewhere(vector: VersionVector): void {
    const { unsharedFrom } = this.durable;
    if (unsharedFrom === null) return;
    const position = this.journal.coveredCount(vector);
    if (position >= unsharedFrom) unlessEnded(this.site.request('shared', { position }));
  }

  async storeObjects(objects: readonly ShippedObject[], areShared: boolean): Promise<void> {
    const checked = objects.map(({ id, kind, bytes }) => {
      if (!isObjectKind(kind)) throw new CorruptionError(`object ${id}: unknown kind ${kind}`);
      return { id, kind, bytes };
    });
    await this.noted(this.received.store(checked).then((packed) => this.adopt(packed, areShared)));
  }

  private async noted(stored: Promise<void>): Promise<void> {
    this.storing.add(stored);
    try {
      await stored;
    } finally {
      this.storing.delete(stored);
    }
  }

  /** Resolves when what comes from now on goes to new packs, and the index has what went to those before. */
  async seal(): Promise<void> {
    await this.received.seal();
    await Promise.allSettled(this.storing); // whoever handed it over hears of it
  }

  /**
   * Takes objects that are in packs into the index, durably. `areShared`: another site keeps them. What comes in one turn, as all that one
   * sync covered does, is taken with one commit.
   */
  adopt(packed: readonly PackedObject[], areShared: boolean): Promise<void> {
    let group = this.adopting.get(areShared);
    if (group === undefined) {
      const fresh: PackedObject[] = [];
      const adopted = this.noted(
        Promise.resolve().then(() => {
          this.adopting.delete(areShared);
          return this.adoptAll(fresh, areShared);
        }),
      );
      this.adopting.set(areShared, (group = { packed: fresh, adopted }));
    }
    group.packed.push(...packed);
    return group.adopted;
  }

  private async adoptAll(packed: readonly PackedObject[], areShared: boolean): Promise<void> {
    const parts: Promise<null>[] = [];
    for (let at = 0; at < packed.length; at += ADOPT_AT_ONCE)
      parts.push(this.site.request('objects', { packed: packed.slice(at, at + ADOPT_AT_ONCE), areShared }));
    await Promise.all(parts);
    this.needs.arrived(
      packed.map(({ id }) => id),
      packed.reduce((sum, { stored }) => sum + stored, 0),
    );
    await this.durable.reached(this.durable.lastReported);
  }

  async flush(): Promise<void> {
    await this.flushWritten();
  }

  /** The same. Gives how many written files could not become versions yet. */
  async flushWritten(): Promise<number> {
    const { commit, unpacked } = await this.site.request('flush', null);
    await this.durable.reached(commit);
    return unpacked;
  }

  async close(): Promise<void> {
    this.journal.close();
    this.objects.close();
    await this.received.close();
  }
}

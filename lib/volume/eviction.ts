// eviction.ts — which objects a site that fetches on demand can give up: what was read longest ago, or what some files show.
// Invariant: never one that no linked site said it keeps, nor one that a draft is laid over or that is pinned. A manifest stays as long
// as a chunk of it does that stays: whether anything needs a chunk is told from the manifests that are here (collection-survey.ts).
// It only reads; how they are given up is collection.ts. Why another site's word is enough is in ARCHITECTURE.md, "Eviction".

import { join } from 'node:path';
import { chunksOf } from '../chunks/manifest.js';
import { ObjectKind } from '../chunks/object-kind.js';
import { listPacks, type PackUse } from '../chunks/pack-use.js';
import { PACK_HEADER_BYTES, RECORD_HEADER_BYTES } from '../chunks/pack-record.js';
import type { Ino, ObjectId } from '../crdt/ids.js';
import { openStateReader, statePath } from '../journal/schema.js';
import { StateSnapshot } from '../journal/state-snapshot.js';
import { UnusedObjects } from './collection-survey.js';
import { filesBelow, versionsOf } from './files-below.js';
import { HeldObjects } from './held-objects.js';

export interface EvictionRequest {
  readonly stateDirectory: string;
  /** So many stored bytes of what was read longest ago; or all that the files at and below these inodes show. */
  readonly what: { readonly bytes: number } | { readonly inos: readonly Ino[] };
  readonly pins: readonly Ino[];
  /** The versions that drafts and open local files are laid over. */
  readonly written: readonly ObjectId[];
}

export interface EvictionPlan {
  readonly unused: readonly UnusedObjects[];
  readonly packs: readonly PackUse[];
  /** Bytes as stored: what goes; and what would have gone, had another site said that it keeps it. */
  readonly evictedBytes: number;
  readonly lastCopyBytes: number;
}

interface Candidate {
  readonly id: ObjectId;
  readonly pack: number;
  readonly stored: number;
  readonly kind: ObjectKind;
}

/** Ids that are asked about at once. */
const ASKED_AT_ONCE = 1_024;

/** `kept`: those of the objects that a linked site keeps. */
export async function planEviction(
  request: EvictionRequest,
  kept: (ids: readonly ObjectId[]) => Promise<readonly ObjectId[]>,
): Promise<EvictionPlan> {
  // Without a transaction, which would keep SQLite's log from starting over while others are asked.
  const db = openStateReader(statePath(request.stateDirectory));
  const held = new HeldObjects(db, request.stateDirectory);
  try {
    const choice = new EvictionChoice(held, request);
    const snapshot = StateSnapshot.open(request.stateDirectory);
    try {
      choice.find(snapshot);
    } finally {
      snapshot.close();
    }
    await choice.askFor(kept);
    return choice.plan();
  } finally {
    held.close();
    db.close();
  }
}

class EvictionChoice {
  /** In the order in which they go. */
  private candidates: Candidate[] = [];
  private readonly evicted = new Map<ObjectId, Candidate>();
  private packs: PackUse[] = [];
  private lastCopyBytes = 0;

  constructor(
    private readonly held: HeldObjects,
    private readonly request: EvictionRequest,
  ) {}

  find(snapshot: StateSnapshot): void {
    const { what } = this.request;
    const exempt = this.exempt(snapshot);
    const found = 'inos' in what ? this.ofFiles(snapshot, what.inos) : this.byUse(snapshot);
    this.candidates = [...found].filter(({ id }) => !exempt.has(id));
    this.packs = this.listPacks(snapshot);
  }

  private exempt({ store }: StateSnapshot): Set<ObjectId> {
    const exempt = new Set<ObjectId>();
    const add = (manifest: ObjectId): void => {
      exempt.add(manifest);
      const decoded = this.held.manifest(manifest);
      if (decoded) for (const chunk of chunksOf(decoded)) exempt.add(chunk);
    };
    for (const manifest of this.request.written) add(manifest);
    for (const inode of filesBelow(this.request.pins, store))
      for (const { manifest } of versionsOf(inode)) add(manifest);
    return exempt;
  }

  private *ofFiles({ store }: StateSnapshot, inos: readonly Ino[]): Generator<Candidate> {
    const seen = new Set<ObjectId>();
    for (const inode of filesBelow(inos, store, new Set(this.request.pins))) {
      for (const { manifest } of versionsOf(inode)) {
        const decoded = this.held.manifest(manifest);
        for (const id of [...(decoded ? chunksOf(decoded) : []), manifest]) {
          const object = seen.has(id) ? undefined : this.held.find(id);
          seen.add(id);
          if (object) yield { id, ...object };
        }
      }
    }
  }

  private *byUse({ db }: StateSnapshot): Generator<Candidate> {
    type Row = [id: Buffer, pack: number, stored: number, kind: ObjectKind];
    const select = db
      .prepare(
        `select object.id, pack, stored, kind from object left join object_use on object_use.id = object.id
         order by coalesce(used, 0), pack, offset`,
      )
      .raw();
    for (const [id, pack, stored, kind] of select.all() as Row[]) yield { id: id.toString('hex'), pack, stored, kind };
  }

  private listPacks({ db }: StateSnapshot): PackUse[] {
    const numbers = new Map(db.prepare('select name, number from pack').raw().all() as [string, number][]);
    const packs = listPacks(join(this.request.stateDirectory, 'packs'), numbers);
    type Row = [pack: number, objects: number, bytes: number];
    const held = db.prepare('select pack, count(*), sum(stored) from object group by pack').raw().all() as Row[];
    const byNumber = new Map(held.map(([pack, objects, bytes]) => [pack, { objects, bytes }]));
    for (const use of packs) {
      const { objects, bytes } = byNumber.get(use.number ?? -1) ?? { objects: 0, bytes: 0 };
      use.neededObjects = objects;
      use.neededBytes = PACK_HEADER_BYTES + bytes + objects * RECORD_HEADER_BYTES;
    }
    return packs;
  }

  async askFor(kept: (ids: readonly ObjectId[]) => Promise<readonly ObjectId[]>): Promise<void> {
    const { what } = this.request;
    const aimBytes = 'bytes' in what ? what.bytes : Infinity;
    const manifests = new Map<Candidate, readonly ObjectId[]>();
    let bytes = 0;
    for (let from = 0; from < this.candidates.length && bytes < aimBytes;) {
      const batch: Candidate[] = [];
      for (let asked = 0; from < this.candidates.length && batch.length < ASKED_AT_ONCE && bytes + asked < aimBytes;) {
        const candidate = this.candidates[from++]!;
        batch.push(candidate);
        asked += candidate.stored + RECORD_HEADER_BYTES;
      }
      const confirmed = new Set(await kept(batch.map(({ id }) => id)));
      for (const candidate of batch) {
        if (!confirmed.has(candidate.id)) {
          this.lastCopyBytes += candidate.stored;
          continue;
        }
        const chunks = candidate.kind === ObjectKind.manifest ? this.heldChunks(candidate.id) : [];
        if (chunks.length > 0) manifests.set(candidate, chunks);
        else {
          this.evicted.set(candidate.id, candidate);
          bytes += candidate.stored + RECORD_HEADER_BYTES;
        }
      }
    }
    for (const [manifest, chunks] of manifests)
      if (chunks.every((chunk) => this.evicted.has(chunk))) this.evicted.set(manifest.id, manifest);
  }

  private heldChunks(id: ObjectId): readonly ObjectId[] {
    const manifest = this.held.manifest(id);
    return manifest ? chunksOf(manifest).filter((chunk) => this.held.find(chunk)) : [];
  }

  plan(): EvictionPlan {
    const manifests = new UnusedObjects();
    const chunks = new UnusedObjects();
    const byNumber = new Map(this.packs.map((use) => [use.number, use]));
    let evictedBytes = 0;
    for (const { id, pack, stored, kind } of this.evicted.values()) {
      (kind === ObjectKind.manifest ? manifests : chunks).add(Buffer.from(id, 'hex'), pack);
      evictedBytes += stored;
      const use = byNumber.get(pack);
      if (!use) continue;
      use.neededObjects--;
      use.neededBytes -= RECORD_HEADER_BYTES + stored;
    }
    // Chunks first: a manifest outlives those of it that go, also when a crash comes in between.
    return { unused: [chunks, manifests], packs: this.packs, evictedBytes, lastCopyBytes: this.lastCopyBytes };
  }
}

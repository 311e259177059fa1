// collection-survey.ts — which objects of a site are needed, why, and where the others lie: the mark of a collection.
// Invariant: of one commit. An object that is needed by any rule is never listed as unused; where what is needed cannot be known (the
// list of a file's chunks is not here), no chunk is. It only reads: it runs on any thread, while the site goes on.

import { join } from 'node:path';
import type { ObjectId } from '../crdt/ids.js';
import { CorruptionError } from '../codec/bytes.js';
import { chunkLengths, decodeManifest, INLINE_LIMIT } from '../chunks/manifest.js';
import { type MissingObject, ObjectKind } from '../chunks/object-kind.js';
import { ObjectMarks, UNMARKED } from '../chunks/object-marks.js';
import type { UnusedObject } from '../chunks/object-store.js';
import { LOCATE } from '../chunks/object-store.js';
import { PackReader } from '../chunks/pack-reader.js';
import { listPacks, noteNeeded, type PackUse } from '../chunks/pack-use.js';
import type { PackedObject } from '../chunks/pack.js';
import { HOLD_REASONS, type HoldReason, type RetentionRules, visitHeldVersions } from '../journal/held-versions.js';
import type { Statement } from '../journal/schema.js';
import { StateSnapshot } from '../journal/state-snapshot.js';

export interface SurveyRequest {
  readonly stateDirectory: string;
  readonly rules: RetentionRules;
  /** Versions that open files and drafts use. */
  readonly inUse: readonly ObjectId[];
  /** Objects that every linked peer said it does not have. */
  readonly reportedAbsent: readonly ObjectId[];
  /** Everything that is shown is to be held here; else what is not is no fault, and what no list of chunks names here is of no use. */
  readonly keepsAll: boolean;
}

export interface Amount {
  objects: number;
  /** As stored. */
  bytes: number;
}

/** `unlisted`: chunks that may belong to a file whose list of chunks has not arrived. */
export const KEPT_REASONS = [...HOLD_REASONS, 'unlisted'] as const;
export type KeptReason = (typeof KEPT_REASONS)[number];
/** What is kept for these alone can be done without. */
const DISPENSABLE: ReadonlySet<KeptReason> = new Set(['merge', 'history', 'peers']);

export interface CollectionSurvey {
  readonly kept: Readonly<Record<KeptReason, Amount>>;
  /** Manifests, then chunks: a manifest that is still here can be named by a register again, and then is whole. */
  readonly unused: readonly UnusedObjects[];
  readonly unusedBytes: number;
  readonly packs: readonly PackUse[];
  /** Shown, and neither held nor wanted. */
  readonly needed: readonly MissingObject[];
  /** Wanted, and of no use to anyone here. */
  readonly unneeded: readonly ObjectId[];
  /** Found damaged. */
  readonly damaged: readonly ObjectId[];
}

const ROWS_PER_READ = 2_000;
const ID_BYTES = 32;
const ROW_BYTES = ID_BYTES + 4;

/** Ids and pack numbers, in order of id, without an object for each. */
export class UnusedObjects {
  private rows = Buffer.alloc(1024 * ROW_BYTES);
  private count = 0;

  add(id: Buffer, pack: number): void {
    if (this.rows.length === this.count * ROW_BYTES)
      this.rows = Buffer.concat([this.rows, Buffer.alloc(this.rows.length)]);
    const at = this.count++ * ROW_BYTES;
    id.copy(this.rows, at);
    this.rows.writeUInt32LE(pack, at + ID_BYTES);
  }

  get length(): number {
    return this.count;
  }

  /** At most `size` at a time. */
  *batches(size: number): Generator<UnusedObject[]> {
    for (let from = 0; from < this.count; from += size) {
      const batch: UnusedObject[] = [];
      for (let i = from; i < Math.min(from + size, this.count); i++) {
        const at = i * ROW_BYTES;
        const id = this.rows.toString('hex', at, at + ID_BYTES);
        batch.push({ id, pack: this.rows.readUInt32LE(at + ID_BYTES) });
      }
      yield batch;
    }
  }
}

/** @throws CorruptionError when the state is damaged */
export function surveyObjects(request: SurveyRequest): CollectionSurvey {
  const snapshot = StateSnapshot.open(request.stateDirectory);
  const survey = new ObjectSurvey(snapshot, request);
  try {
    return survey.run();
  } finally {
    survey.close();
    snapshot.close();
  }
}

class ObjectSurvey {
  private readonly marks = new ObjectMarks();
  private readonly reader: PackReader;
  private readonly selectPlace: Statement;
  private readonly selectHas: Statement;
  private readonly selectWanted: Statement;
  private readonly needed: MissingObject[] = [];
  private readonly damaged: ObjectId[] = [];
  private lacksManifest = false;

  constructor(
    private readonly snapshot: StateSnapshot,
    private readonly request: SurveyRequest,
  ) {
    const { db } = snapshot;
    this.reader = new PackReader(join(request.stateDirectory, 'packs'));
    this.selectPlace = db.prepare(LOCATE);
    this.selectHas = db.prepare('select 1 from object where id = ?').pluck();
    this.selectWanted = db.prepare('select 1 from missing where kind = ? and id = ?').pluck();
  }

  run(): CollectionSurvey {
    // First what is open: most of it is shown too, and the lower mark stays.
    for (const manifest of this.request.inUse) this.hold(manifest, INLINE_LIMIT, 'open');
    visitHeldVersions(this.snapshot, this.request.rules, ({ manifest, size, reason }) =>
      this.hold(manifest, size, reason),
    );
    return { ...this.sweep(), needed: this.needed, unneeded: this.unneeded(), damaged: this.damaged };
  }

  private hold(manifest: ObjectId, size: number, reason: HoldReason): void {
    if (!this.mark({ id: manifest, kind: ObjectKind.manifest, bytes: size }, reason) || size < INLINE_LIMIT) return;
    const bytes = this.read(manifest);
    if (!bytes) this.lacksManifest ||= this.request.keepsAll;
    else {
      for (const [id, length] of chunkLengths(decodeManifest(bytes)))
        this.mark({ id, kind: ObjectKind.chunk, bytes: length }, reason);
    }
  }

  /** Whether it had no reason as good before. */
  private mark(object: MissingObject, reason: HoldReason): boolean {
    if (!this.marks.add(object.id, HOLD_REASONS.indexOf(reason))) return false;
    if (this.request.keepsAll && (reason === 'shown' || reason === 'conflict')) this.checkPresence(object);
    return true;
  }

  private checkPresence(object: MissingObject): void {
    const blob = Buffer.from(object.id, 'hex');
    if (this.selectHas.get(blob) === undefined && this.selectWanted.get(object.kind, blob) === undefined)
      this.needed.push(object);
  }

  private read(id: ObjectId): Buffer | undefined {
    const place = this.selectPlace.get(Buffer.from(id, 'hex')) as Omit<PackedObject, 'id'> | undefined;
    if (!place) return undefined;
    try {
      return this.reader.read({ id, ...place });
    } catch (error) {
      if (!(error instanceof CorruptionError)) throw error;
      this.damaged.push(id);
      return undefined;
    }
  }

  /** Looks at every object held. */
  private sweep(): Pick<CollectionSurvey, 'kept' | 'unused' | 'unusedBytes' | 'packs'> {
    const { db } = this.snapshot;
    const numbers = new Map(db.prepare('select name, number from pack').raw().all() as [string, number][]);
    const packs = listPacks(join(this.request.stateDirectory, 'packs'), numbers);
    const byNumber = new Map(packs.map((use) => [use.number, use]));
    const kept = Object.fromEntries(KEPT_REASONS.map((reason) => [reason, { objects: 0, bytes: 0 }])) as Record<
      KeptReason,
      Amount
    >;
    const unusedManifests = new UnusedObjects();
    const unusedChunks = new UnusedObjects();
    let unusedBytes = 0;
    for (const { id, pack, stored, kind } of this.objects()) {
      const reason = this.reasonOf(id, kind);
      if (reason === undefined) {
        (kind === ObjectKind.manifest ? unusedManifests : unusedChunks).add(id, pack);
        unusedBytes += stored;
        continue;
      }
      kept[reason].objects++;
      kept[reason].bytes += stored;
      const use = byNumber.get(pack);
      if (use) noteNeeded(use, stored);
    }
    return { kept, unused: [unusedManifests, unusedChunks], unusedBytes, packs };
  }

  private reasonOf(id: Buffer, kind: ObjectKind): KeptReason | undefined {
    const mark = this.marks.of(id);
    if (mark !== UNMARKED) return HOLD_REASONS[mark];
    return kind === ObjectKind.chunk && this.lacksManifest ? 'unlisted' : undefined;
  }

  private *objects(): Generator<{ id: Buffer; pack: number; stored: number; kind: ObjectKind }> {
    const select = this.snapshot.db
      .prepare('select id, pack, stored, kind from object where id > ? order by id limit ?')
      .raw();
    for (let after: Buffer = Buffer.alloc(0); ;) {
      const rows = select.all(after, ROWS_PER_READ) as [Buffer, number, number, ObjectKind][];
      for (const [id, pack, stored, kind] of rows) yield { id, pack, stored, kind };
      if (rows.length < ROWS_PER_READ) return;
      after = rows.at(-1)![0];
    }
  }

  /**
   * Of what is wanted: what nothing keeps; and what nobody who can be asked has of old versions, and of what a merge would be made on:
   * without that the versions stay beside each other.
   */
  private unneeded(): ObjectId[] {
    const absent = new Set(this.request.reportedAbsent);
    const ids: ObjectId[] = [];
    const wanted = this.snapshot.db.prepare('select kind, id from missing').raw().all() as [ObjectKind, Buffer][];
    for (const [kind, blob] of wanted) {
      const id = blob.toString('hex');
      const reason = this.reasonOf(blob, kind);
      if (reason === undefined || (DISPENSABLE.has(reason) && absent.has(id))) ids.push(id);
    }
    return ids;
  }

  close(): void {
    this.reader.close();
  }
}

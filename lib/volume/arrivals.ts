// arrivals.ts — what comes to a volume from other sites and other threads: objects, packed versions, news of what is damaged or needed.
// Invariant: what arrives is in a commit when the call returns, so that whoever sees that commit sees what came of it. Changes of
// other sites come another way, because they are queued (remote-changes.ts).

import type { ActorId, ObjectId } from '../crdt/ids.js';
import type { IngestResult } from '../chunks/ingest.js';
import { chunkLengths, decodeManifest } from '../chunks/manifest.js';
import { ObjectKind } from '../chunks/object-kind.js';
import type { ObjectStore } from '../chunks/object-store.js';
import type { PackedObject } from '../chunks/pack.js';
import type { Journal } from '../journal/journal.js';
import type { BackgroundWork } from './background-work.js';
import type { ContentMerges } from './content-merges.js';
import type { Folding } from './folding.js';
import type { IngestJobs } from './ingest-jobs.js';
import type { VolumeClock } from './ports.js';

/** That other sites keep what is here comes with every acknowledgement; so long it may wait for company. */
const SHARED_NOTE_MS = 500;
/** Merging may hold up what arrived for so long. */
const MERGE_SLICE_MS = 5;

export class Arrivals {
  constructor(
    private readonly clock: VolumeClock,
    private readonly journal: Journal,
    private readonly objects: ObjectStore,
    private readonly folding: Folding,
    private readonly jobs: IngestJobs,
    private readonly merges: ContentMerges,
    private readonly background: BackgroundWork,
    private readonly onCorrupt: (what: string) => void,
  ) {}

  /**
   * Objects that came from peers are in packs: takes them into the index and wants the chunks that manifests name which were wanted.
   * @param areShared the peer keeps everything
   */
  adopt(objects: readonly PackedObject[], areShared = false): void {
    this.folding.foldOpen();
    // Others were read and not wanted: of those only the chunks that are read too are asked for.
    const wanted = objects.filter(
      ({ id, kind }) => kind === ObjectKind.manifest && (this.objects.keepsAll || this.objects.isWanted(id)),
    );
    this.objects.adopt(objects, areShared);
    this.merges.arrived(objects.map(({ id }) => id));
    for (const { id } of wanted) {
      for (const [chunk, length] of chunkLengths(decodeManifest(this.objects.get(id)))) {
        this.objects.want(chunk, ObjectKind.chunk, length);
      }
    }
    // In the commit that says that nothing is missing any more: who waits for that sees what it was waited for.
    const endMs = this.clock.monotonicMs() + MERGE_SLICE_MS;
    this.background.mergeVersions(() => this.clock.monotonicMs() >= endMs);
    this.folding.commit();
  }

  /** A worker packed a version. */
  ingested(result: IngestResult): void {
    this.jobs.ingested(result);
    this.folding.commit();
  }

  /** `absent`: chunks of the base that the worker could not read. */
  ingestFailed(jobId: number, absent: readonly ObjectId[]): void {
    this.jobs.failed(jobId, absent);
    for (const id of absent) {
      this.verify(id);
      this.objects.want(id, ObjectKind.chunk); // nothing when it is held, or wanted already
    }
  }

  /** Callers wait for these objects. */
  needed(ids: readonly ObjectId[]): void {
    if (this.objects.wantAgain(ids)) this.folding.commit();
  }

  /** Another site keeps all that the first so many changes name. */
  shared(position: number): void {
    if (this.objects.shared(position)) this.folding.commitWithin(SHARED_NOTE_MS);
  }

  /** Checks an object on disk; a damaged one becomes a missing one. */
  verify(id: ObjectId): void {
    if (!this.objects.verify(id)) this.folding.commit();
  }

  /** Looks at changes in the journal; damaged ones are to be had again from another site. Returns how many are. */
  verifyChanges(changes: readonly { readonly actor: ActorId; readonly seq: number }[]): number {
    const damaged = changes.filter(({ actor, seq }) => !this.journal.verifyChange(actor, seq));
    for (const { actor, seq } of damaged) this.onCorrupt(`change ${seq} of actor ${actor} in the journal`);
    if (damaged.length > 0) this.folding.commit();
    return damaged.length;
  }
}

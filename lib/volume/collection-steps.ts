// collection-steps.ts — what a collection asks of the thread that owns the state, step by step.
// Invariant: each step is in SQLite when it returns, and an object that something comes to name after begin() stays, whatever the
// survey says (chunks/collection-guard.ts). In which order the steps come, and what they wait for, is in collection.ts.

import type { ObjectId } from '../crdt/ids.js';
import type { MissingObject } from '../chunks/object-kind.js';
import type { MovedObject, ObjectStore, UnusedObject } from '../chunks/object-store.js';
import type { FileContents } from './file-contents.js';
import type { Folding } from './folding.js';
import type { IngestJobs } from './ingest-jobs.js';
import type { VersionsInUse } from './versions-in-use.js';

export class CollectionSteps {
  constructor(
    private readonly objects: ObjectStore,
    private readonly contents: FileContents,
    private readonly inUse: VersionsInUse,
    private readonly folding: Folding,
    private readonly jobs: IngestJobs,
  ) {}

  /** The versions that are in use here, whatever the registers say. */
  versionsInUse(): ObjectId[] {
    return [...new Set(this.inUse.all())];
  }

  /** The versions that what is written here is laid over, or is beside. */
  versionsWritten(): ObjectId[] {
    return [...new Set(this.inUse.written())];
  }

  /** Local files that are kept of what was written here, and that nobody has open, are of no more use. */
  giveUpKept(): void {
    this.contents.dropKept();
  }

  /** Begins a collection. Returns the versions in use; the mark is to be of a later commit. */
  begin(): ObjectId[] {
    if (this.jobs.isIdle) this.objects.forgetDiscarded();
    this.objects.writeUses();
    this.folding.commit();
    this.objects.beginCollection();
    return this.versionsInUse();
  }

  /**
   * A slice of what a collection found; returns how many of the unused objects stay.
   * @param areEvicted they are needed, and another site keeps them: unless this one is to keep everything from now on, they go
   */
  collect(unused: readonly UnusedObject[], moved: readonly MovedObject[], areEvicted: boolean): number {
    this.objects.move(moved);
    if (areEvicted && this.objects.keepsAll) return unused.length;
    const kept = this.objects.discard(unused);
    this.folding.commit();
    return kept;
  }

  /** Gives up packs that hold nothing any more. They may be removed once the commit is durable. */
  retire(packs: readonly string[]): { retired: string[]; commit: number } {
    const retired = this.objects.retire(packs);
    return { retired, commit: this.folding.commit() };
  }

  end(removed: readonly string[]): void {
    this.objects.endCollection(removed);
    this.folding.commit();
  }

  /** Objects that are needed and neither held nor wanted; and others that are wanted and that nothing needs, or nobody has. */
  correctWants(needed: readonly MissingObject[], unneeded: readonly ObjectId[]): void {
    this.objects.unwant(unneeded);
    for (const { id, kind, bytes } of needed) this.objects.want(id, kind, bytes);
    this.folding.commit();
  }
}

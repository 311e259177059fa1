// ingest-jobs.ts — what was given to the ingest workers and not answered yet: who hears of which answer.
// Invariant: each job is answered once, by exactly one of its two functions; a restart forgets all jobs, and so do the workers.

import assert from 'node:assert/strict';
import type { ObjectId } from '../crdt/ids.js';
import type { IngestResult } from '../chunks/ingest.js';
import type { PackedObject } from '../chunks/pack.js';
import type { WorkingCopy } from '../chunks/working-copy.js';
import type { Ingester } from './ports.js';

/** What a worker took for held may have been discarded before its answer came. */
export interface HeldObjects {
  readonly discardCount: number;
  canAdopt(packed: readonly PackedObject[]): boolean;
  holdsVersion(manifest: Uint8Array, id: ObjectId, packed: readonly PackedObject[]): boolean;
}

interface Asked {
  readonly ingested: (result: IngestResult) => void;
  /** `absent`: chunks that the worker lacked. */
  readonly failed: (absent: readonly ObjectId[]) => void;
  /** What the worker took for held is not any more: it must be asked again. */
  readonly outdated: () => void;
}

export class IngestJobs {
  private readonly asked = new Map<number, Asked & { readonly discardCount: number }>();
  private next = 1;

  constructor(
    private readonly ingester: Ingester,
    private readonly objects: HeldObjects,
  ) {}

  get isIdle(): boolean {
    return this.asked.size === 0;
  }

  /** Has the present content of a working copy made a version of. */
  ask(content: WorkingCopy, asked: Asked): void {
    const job = content.job(this.next++);
    this.asked.set(job.jobId, { ...asked, discardCount: this.objects.discardCount });
    this.ingester.ingest(job);
  }

  /** A worker packed the bytes. Where a collection took what it had found packed already, it has to do it again. */
  ingested(result: IngestResult): void {
    const { discardCount, ingested, outdated } = this.take(result.jobId);
    const { manifest, manifestId, objects } = result;
    const isUnchanged = discardCount === this.objects.discardCount;
    const isWhole =
      this.objects.canAdopt(objects) && (isUnchanged || this.objects.holdsVersion(manifest, manifestId, objects));
    if (isWhole) ingested(result);
    else outdated();
  }

  /** A worker could not. */
  failed(jobId: number, absent: readonly ObjectId[]): void {
    this.take(jobId).failed(absent);
  }

  private take(jobId: number) {
    const asked = this.asked.get(jobId);
    assert(asked, `no ingest ${jobId} is under way`);
    this.asked.delete(jobId);
    return asked;
  }
}

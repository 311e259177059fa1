// ingest-jobs.ts — what was given to the ingest workers and not answered yet: who hears of which answer.
// Invariant: each job is answered once, by exactly one of its two functions; a restart forgets all jobs, and so do the workers.

import assert from 'node:assert/strict';
import type { ObjectId } from '../crdt/ids.js';
import type { IngestResult } from '../chunks/ingest.js';
import type { WorkingCopy } from '../chunks/working-copy.js';
import type { Ingester } from './ports.js';

interface Asked {
  readonly ingested: (result: IngestResult) => void;
  /** `absent`: chunks that the worker lacked. */
  readonly failed: (absent: readonly ObjectId[]) => void;
}

export class IngestJobs {
  private readonly asked = new Map<number, Asked>();
  private next = 1;

  constructor(private readonly ingester: Ingester) {}

  /** Has the present content of a working copy made a version of. */
  ask(content: WorkingCopy, asked: Asked): void {
    const job = content.job(this.next++);
    this.asked.set(job.jobId, asked);
    this.ingester.ingest(job);
  }

  /** A worker packed the bytes. */
  ingested(result: IngestResult): void {
    this.take(result.jobId).ingested(result);
  }

  /** A worker could not. */
  failed(jobId: number, absent: readonly ObjectId[]): void {
    this.take(jobId).failed(absent);
  }

  private take(jobId: number): Asked {
    const asked = this.asked.get(jobId);
    assert(asked, `no ingest ${jobId} is under way`);
    this.asked.delete(jobId);
    return asked;
  }
}

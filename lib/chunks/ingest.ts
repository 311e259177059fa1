// ingest.ts — turning working copies into versions, seen from the main thread: jobs, results, and the pool that runs them.

import type { ObjectId } from '../crdt/ids.js';
import type { PackedObject } from './pack.js';

/** A working copy to be turned into a version. Can be sent between threads. */
export interface IngestJob {
  /** Chosen by whoever asks; comes back in the result. */
  readonly jobId: number;
  /** The working copy's local file. */
  readonly path: string;
  /** Bytes of the file. */
  readonly size: number;
  /** Encoded manifest of the version that it is based on; null: none. */
  readonly base: Uint8Array | null;
  /** Start, end, start, end, … of what was changed since the base, below `size`, ascending. What lies past the base's end counts as changed. */
  readonly changed: readonly number[];
}

/** What a job gave. Everything in `objects` is on stable storage. */
export interface IngestResult {
  readonly jobId: number;
  readonly manifestId: ObjectId;
  readonly manifest: Uint8Array;
  /** What the site does not hold yet, the manifest included: for ObjectStore.adopt. */
  readonly objects: readonly PackedObject[];
}

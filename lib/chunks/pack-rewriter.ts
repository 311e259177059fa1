// pack-rewriter.ts — copies what is needed out of packs that hold little else, on a thread of its own.
// Invariant: what a batch names is on stable storage, verified, under its new place, before it is handed over; the old record is left
// as it is. A record that is damaged is not copied but named, and its pack stays for the index to give it up.

import { CorruptionError } from '../codec/bytes.js';
import type { ObjectId } from '../crdt/ids.js';
import type { MovedObject } from './object-store.js';
import { PackReader } from './pack-reader.js';
import { PackWriter } from './pack.js';
import type { PackedObject } from './pack.js';

/** An object in a pack that is to be rewritten. */
export interface RewrittenObject extends PackedObject {
  readonly packNumber: number;
}

export interface RewrittenBatch {
  readonly moved: readonly MovedObject[];
  readonly damaged: readonly ObjectId[];
}

/** Copied before one sync makes all of it durable, in bytes. */
const BATCH_BYTES = 16 << 20;

/**
 * Copies objects, in the order given, to new packs. After each batch the thread rests as long as the batch took: a collection has time,
 * and shares the disk with callers who have not.
 * @throws PosixError ENOSPC, EIO: what was handed over before is sound
 */
export function* rewritePacks(directory: string, objects: Iterable<RewrittenObject>): Generator<RewrittenBatch> {
  const reader = new PackReader(directory);
  const writer = new PackWriter(directory, 'kept');
  try {
    for (const batch of inBatches(objects)) {
      const startMs = performance.now();
      const moved: MovedObject[] = [];
      const damaged: ObjectId[] = [];
      for (const object of batch) {
        try {
          const { header, data } = reader.readRecord(object);
          const { pack, offset } = writer.copy(header, data);
          const from = { pack: object.packNumber, offset: object.offset };
          moved.push({ id: object.id, from, to: { pack, offset } });
        } catch (error) {
          if (!(error instanceof CorruptionError)) throw error;
          damaged.push(object.id);
        }
      }
      writer.sync();
      yield { moved, damaged };
      rest(performance.now() - startMs);
    }
  } finally {
    writer.close();
    reader.close();
  }
}

function* inBatches(objects: Iterable<RewrittenObject>): Generator<RewrittenObject[]> {
  let batch: RewrittenObject[] = [];
  let bytes = 0;
  for (const object of objects) {
    batch.push(object);
    bytes += object.stored;
    if (bytes < BATCH_BYTES) continue;
    yield batch;
    batch = [];
    bytes = 0;
  }
  if (batch.length > 0) yield batch;
}

const sleeper = new Int32Array(new SharedArrayBuffer(4));

function rest(delayMs: number): void {
  Atomics.wait(sleeper, 0, 0, delayMs);
}

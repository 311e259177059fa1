// ingester.ts — turns working copies into versions, a batch of jobs at a time: what an ingest thread does, without the thread.
// Its objects go to packs of its own; answers are given when they are on stable storage, never before.

import { LRUCache } from 'lru-cache';
import { CorruptionError } from '../codec/bytes.js';
import type { ObjectId } from '../crdt/ids.js';
import { PosixError, posixError } from '../errno.js';
import { AbsentObjects } from './absent-objects.js';
import type { IngestFailure, IngestJob, IngestResult, IngestWorkerData } from './ingest.js';
import { isReserveNeeded } from '../disk-reserve.js';
import { LocalFile } from './local-file.js';
import { decodeManifest } from './manifest.js';
import { makeVersion } from './new-version.js';
import { objectIdOf } from './object-kind.js';
import { ObjectReader } from './object-reader.js';
import type { ObjectSource } from './object-store.js';
import { PackReader } from './pack-reader.js';
import { PackWriter } from './pack.js';
import type { PackedObject } from './pack.js';
import { RangeSet } from './range-set.js';

/** Objects that were packed here and may not be committed to the index yet. */
const RECENT_OBJECTS = 32_768;

export class Ingester {
  private readonly directory: string;
  private readonly index: ObjectReader;
  private readonly packs: PackReader;
  private readonly writer: PackWriter;
  private readonly recent = new LRUCache<ObjectId, PackedObject>({
    // Not `max`, for which it takes all the memory at once.
    maxSize: RECENT_OBJECTS,
    sizeCalculation: () => 1,
  });

  /** @param awaitCommit waits until what was given to the site thread may be seen here: until `isThere`, or in vain */
  constructor(
    { databasePath, objectsDirectory }: IngestWorkerData,
    private readonly awaitCommit: (isThere: () => boolean) => void,
  ) {
    this.directory = objectsDirectory;
    this.index = new ObjectReader(databasePath, objectsDirectory);
    this.packs = new PackReader(objectsDirectory);
    this.writer = new PackWriter(objectsDirectory, 'ingest');
  }

  /** One answer per job, in order. */
  run(jobs: readonly IngestJob[]): (IngestResult | IngestFailure)[] {
    const answers = jobs.map((job) => {
      try {
        return this.ingest(job);
      } catch (error) {
        return failure(job, error);
      }
    });
    try {
      this.writer.sync();
    } catch (error) {
      this.recent.clear();
      return jobs.map((job) => failure(job, error));
    }
    return answers;
  }

  private ingest(job: IngestJob): IngestResult {
    const base = job.base && decodeManifest(Buffer.from(job.base));
    const changed = new RangeSet();
    for (let i = 0; i < job.changed.length; i += 2) changed.insert(job.changed[i]!, job.changed[i + 1]!);
    changed.insert(base?.size ?? 0, Infinity);
    const packed = new Map<ObjectId, PackedObject>();
    const sink = {
      put: (kind: PackedObject['kind'], bytes: Uint8Array) => {
        const id = objectIdOf(bytes);
        if (!packed.has(id) && !this.index.has(id)) {
          const object = this.recent.get(id) ?? this.append(kind, id, bytes);
          this.recent.set(id, object);
          packed.set(id, object);
        }
        return id;
      },
    };
    const file = LocalFile.open(job.path);
    try {
      const version = makeVersion({ file, size: job.size, base, changed, objects: this.source() }, sink);
      return { jobId: job.jobId, ...version, objects: [...packed.values()] };
    } finally {
      file.close();
    }
  }

  /** The reserve is for what cannot wait; a written file can. */
  private append(kind: PackedObject['kind'], id: ObjectId, bytes: Uint8Array): PackedObject {
    if (isReserveNeeded(this.directory, bytes.length)) throw posixError('ENOSPC');
    return this.writer.append(kind, id, bytes);
  }

  private source(): ObjectSource {
    return {
      has: (id) => this.recent.has(id) || this.index.has(id),
      get: (id) => {
        const recent = this.recent.get(id);
        return (recent && this.getRecent(recent)) ?? this.getCommitted(id);
      },
    };
  }

  /** Undefined when it is not there any more. */
  private getRecent(object: PackedObject): Buffer | undefined {
    try {
      return this.packs.read(object);
    } catch (error) {
      this.recent.delete(object.id);
      if (error instanceof CorruptionError) return undefined;
      throw error;
    }
  }

  /** A collection is about to look at the packs: what is written from now on goes to a new one. */
  seal(): void {
    this.writer.seal();
  }

  /** A collection removed these packs. */
  forgetPacks(packs: readonly string[]): void {
    const removed = new Set(packs);
    for (const [id, { pack }] of this.recent.entries()) if (removed.has(pack)) this.recent.delete(id);
    this.packs.forget(packs);
    this.index.forgetPacks(packs);
  }

  private getCommitted(id: ObjectId): Buffer {
    this.awaitCommit(() => this.index.has(id));
    return this.index.get(id);
  }

  close(): void {
    this.writer.close();
    this.packs.close();
    this.index.close();
  }
}

/** What is answered for a job that failed. */
export function failure({ jobId }: IngestJob, error: unknown): IngestFailure {
  const message = error instanceof Error ? error.message : String(error);
  if (error instanceof AbsentObjects) return { jobId, failed: 'absent', ids: error.ids, message };
  if (error instanceof PosixError) return { jobId, failed: 'posix', code: error.code, message };
  if (error instanceof CorruptionError) return { jobId, failed: 'corrupt', message };
  return { jobId, failed: 'other', message: error instanceof Error ? (error.stack ?? message) : message };
}

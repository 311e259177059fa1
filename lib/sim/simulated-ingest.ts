// simulated-ingest.ts — what the ingest worker does (lib/chunks/ingest-worker.ts), in one go on the caller's thread.
// The version is made by the product's own makeVersion and packed by its PackWriter; only threads and batches are left out.

import type { IngestJob, IngestResult } from '../chunks/ingest.js';
import { LocalFile } from '../chunks/local-file.js';
import { decodeManifest } from '../chunks/manifest.js';
import { makeVersion } from '../chunks/new-version.js';
import { objectIdOf } from '../chunks/object-kind.js';
import type { ObjectReader } from '../chunks/object-reader.js';
import { type PackedObject, PackWriter } from '../chunks/pack.js';
import { RangeSet } from '../chunks/range-set.js';

/**
 * @param index reads what the site holds
 * @param packs directory of the site's packs
 * @throws AbsentObjects when bytes of the base are needed and not held
 */
export function ingest(job: IngestJob, index: ObjectReader, packs: string): IngestResult {
  const writer = new PackWriter(packs, 'ingest');
  try {
    const base = job.base && decodeManifest(Buffer.from(job.base));
    const changed = new RangeSet();
    for (let i = 0; i < job.changed.length; i += 2) changed.insert(job.changed[i]!, job.changed[i + 1]!);
    changed.insert(base?.size ?? 0, Infinity);
    const packed = new Map<string, PackedObject>();
    const put = (kind: PackedObject['kind'], bytes: Uint8Array): string => {
      const id = objectIdOf(bytes);
      if (!packed.has(id) && !index.has(id)) packed.set(id, writer.append(kind, id, bytes));
      return id;
    };
    const file = LocalFile.open(job.path);
    try {
      const version = makeVersion({ file, size: job.size, base, changed, objects: index }, { put });
      writer.sync();
      return { jobId: job.jobId, ...version, objects: [...packed.values()] };
    } finally {
      file.close();
    }
  } finally {
    writer.close();
  }
}

// versions-held.ts — the bytes of a version, from whichever simulated site has all of them.

import { AbsentObjects } from '../chunks/absent-objects.js';
import { decodeManifest } from '../chunks/manifest.js';
import { readManifest } from '../chunks/manifest-reader.js';
import type { ObjectSource } from '../chunks/object-store.js';
import { CorruptionError } from '../codec/bytes.js';
import type { Site } from './site.js';

/** Undefined when neither a running site nor the archive holds all of a version, `id` being its manifest's. */
export function versionHeldBy(sites: readonly Site[], id: string): Buffer | undefined {
  for (const site of sites) {
    const objects = withArchive(site);
    try {
      const manifest = decodeManifest(objects.get(id));
      const into = Buffer.alloc(manifest.size);
      readManifest(objects, manifest, 0, manifest.size, into, 0);
      return into;
    } catch (error) {
      if (!(error instanceof AbsentObjects || error instanceof CorruptionError)) throw error;
    }
  }
  return undefined;
}

function withArchive({ volume: { objects }, around: { archive } }: Site): ObjectSource {
  return {
    has: (id) => objects.has(id) || archive.object(id) !== undefined,
    get: (id) => {
      const bytes = objects.has(id) ? objects.get(id) : archive.object(id);
      // Whoever asks the site for what it does not hold makes it want that.
      if (!bytes) throw new AbsentObjects([id]);
      return bytes;
    },
  };
}

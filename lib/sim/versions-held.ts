// versions-held.ts — the bytes of a version, from whichever simulated site has all of them.

import { AbsentObjects } from '../chunks/absent-objects.js';
import { decodeManifest } from '../chunks/manifest.js';
import { readManifest } from '../chunks/manifest-reader.js';
import { CorruptionError } from '../codec/bytes.js';
import type { Site } from './site.js';

/** Undefined when no running site holds all of a version, `id` being its manifest's. */
export function versionHeldBy(sites: readonly Site[], id: string): Buffer | undefined {
  for (const site of sites) {
    const { objects } = site.volume;
    try {
      if (!objects.has(id)) continue;
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

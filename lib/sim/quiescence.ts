// quiescence.ts — whether sites that reach each other all run and have come to rest: nothing to send, to fetch, to publish or to merge.

import { mergedIn } from '../crdt/fields.js';
import type { Process } from './process.js';
import type { Site } from './site.js';

/** Whether all have the same changes, all objects, and nothing to do. */
export function areAtRest(sites: readonly Site[]): boolean {
  if (sites.some(({ life }) => life === null)) return false;
  const vector = sites[0]!.volume.journal.vector();
  return sites.every(({ volume, life }) => {
    const { background, objects, journal } = volume;
    if (background.nextTimeoutMs >= 0 || background.isPublishing || objects.missingCount() > 0 || !life!.store)
      return false;
    const own = journal.vector();
    return own.size === vector.size && [...own].every(([actor, seq]) => vector.get(actor) === seq);
  });
}

/** Reads everything: what is damaged is noticed by that, and fetched again. */
export function areReadable(sites: readonly Site[], processes: readonly Process[]): boolean {
  let readable = true;
  for (const process of processes) {
    process.begin('');
    for (const [path, kind] of process.paths()) if (kind === 'f' && !process.isReadable(path)) readable = false;
  }
  for (const site of sites) site.wake();
  return readable;
}

/** How far a running site is, in words. */
export function standing({ name, volume, life }: Site): string {
  const changes = [...volume.journal.vector().values()].reduce((sum, seq) => sum + seq, 0);
  const { isPublishing, nextTimeoutMs } = volume.background;
  return [
    `${name} has ${changes} changes`,
    `lacks ${volume.objects.missingCount()} objects`,
    `has ${life!.exchange.connections().length} links`,
    `wakes in ${nextTimeoutMs} ms${isPublishing ? ', publishes' : ''}`,
  ].join(', ');
}

/** Versions at a site that are merges, and current. */
export function mergesOfContent({ volume }: Site): number {
  const { store } = volume.journal;
  let merges = 0;
  for (const ino of store.inodes())
    for (const { value } of store.inode(ino)?.registers.get('head') ?? []) if (mergedIn(value).length > 0) merges++;
  return merges;
}

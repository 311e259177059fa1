// archive.ts — every change of a simulation, also those that sites dropped from their journals, and the objects that they gave up: what
// the checks judge by.
// Invariant: a site's changes and objects are put here before it is asked to drop any. Changes stand in an order in which each comes
// after what it builds on.

import { join } from 'node:path';
import { ObjectReader } from '../chunks/object-reader.js';
import { CorruptionError } from '../codec/bytes.js';
import type { UnusedObject } from '../chunks/object-store.js';
import type { ActorId, ObjectId } from '../crdt/ids.js';
import { statePath } from '../journal/schema.js';
import { type JournaledChange, JournalReader } from '../journal/journal-reader.js';
import type { Site } from './site.js';

export class Archive {
  private readonly changes = new Map<string, JournaledChange>();
  private readonly objects = new Map<ObjectId, Buffer>();
  /** What of each state directory is here. */
  private readonly seen = new Map<string, ReadonlyMap<ActorId, number>>();

  /** Puts here what the site has committed. */
  take(site: Site): void {
    const reader = JournalReader.open(site.directory);
    try {
      const known = new Map(this.seen.get(site.directory));
      for (const [actor, seq] of reader.floor()) known.set(actor, Math.max(seq, known.get(actor) ?? 0));
      for (const change of reader.changesAfter(known, Infinity)) {
        if (!this.changes.has(change.hash)) this.changes.set(change.hash, change);
        known.set(change.actor, change.seq);
      }
      this.seen.set(site.directory, known);
    } finally {
      reader.close();
    }
  }

  /** Puts here what the site holds of these objects, which it is about to give up. */
  takeObjects({ directory }: Site, unused: readonly UnusedObject[]): void {
    const reader = new ObjectReader(statePath(directory), join(directory, 'packs'));
    try {
      for (const { id } of unused) {
        if (this.objects.has(id) || !reader.has(id)) continue;
        try {
          this.objects.set(id, reader.get(id));
        } catch (error) {
          if (!(error instanceof CorruptionError)) throw error;
        }
      }
    } finally {
      reader.close();
    }
  }

  object(id: ObjectId): Buffer | undefined {
    return this.objects.get(id);
  }

  /** All changes that a site has committed. */
  of(site: Site): JournaledChange[] {
    this.take(site);
    const vector = site.volume.journal.vector();
    return [...this.changes.values()].filter(({ actor, seq }) => seq <= (vector.get(actor) ?? 0));
  }
}

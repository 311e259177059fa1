// archive.ts — every change of a simulation, also those that sites dropped from their journals: what the checks judge by.
// Invariant: a site's changes are put here before it is asked to drop any. They stand in an order in which each comes after what it
// builds on.

import type { ActorId } from '../crdt/ids.js';
import { type JournaledChange, JournalReader } from '../journal/journal-reader.js';
import type { Site } from './site.js';

export class Archive {
  private readonly changes = new Map<string, JournaledChange>();
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

  /** All changes that a site has committed. */
  of(site: Site): JournaledChange[] {
    this.take(site);
    const vector = site.volume.journal.vector();
    return [...this.changes.values()].filter(({ actor, seq }) => seq <= (vector.get(actor) ?? 0));
  }
}

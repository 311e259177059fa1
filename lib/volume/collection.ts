// collection.ts — what a collection does once it knows what is unused: in which order, and in which steps.
// Invariant: at every moment the index names only records that are on stable storage. Order: the copies of what is needed are durable,
// then the index names them, then it names nothing else in the old pack, then that is durable, and only then is the pack removed. A
// crash at any point leaves at most packs that nothing names, which the next collection removes.

import { rmSync } from 'node:fs';
import { join } from 'node:path';
import type { ObjectId } from '../crdt/ids.js';
import type { MovedObject, UnusedObject } from '../chunks/object-store.js';
import { rewritePacks, type RewrittenObject } from '../chunks/pack-rewriter.js';
import { type PackUse, worthRewriting } from '../chunks/pack-use.js';
import { openStateReader, statePath } from '../journal/schema.js';
import type { CollectionSurvey } from './collection-survey.js';

/** What is asked of the site thread; each is a short piece of work for it. */
export interface CollectionSite {
  /** Returns how many of the unused stay, because something came to need them. */
  collect(unused: readonly UnusedObject[], moved: readonly MovedObject[]): Promise<number>;
  /** Returns those that may be removed; what says so is durable, and no thread has them open. */
  retire(packs: readonly string[]): Promise<readonly string[]>;
  /** These are damaged: have them fetched again. */
  verify(ids: readonly ObjectId[]): Promise<void>;
}

export interface Collected {
  readonly discardedObjects: number;
  readonly rewrittenPacks: number;
  readonly removedPacks: readonly string[];
}

/** Objects that the site thread is given at a time: a millisecond or two of its work. */
const SLICE_OBJECTS = 200;
/** Objects of packs that are rewritten in one go. */
const REWRITE_OBJECTS = 200_000;
/** A pack that the index does not know may hold what a worker is about to hand over, unless it is older. */
const STRAY_AGE_MS = 10 * 60_000;

/**
 * Carries out what a survey found.
 * @param sealed packs that were there before their writers ended them; of others somebody may still be writing, and no record may be lost
 * @param startedMs when that was, milliseconds since 1970
 */
export async function carryOut(
  stateDirectory: string,
  survey: Pick<CollectionSurvey, 'unused' | 'packs'>,
  site: CollectionSite,
  sealed: readonly string[],
  startedMs: number,
): Promise<Collected> {
  const collection = new Collection(stateDirectory, site);
  const names = new Set(sealed);
  const packs = survey.packs.filter(({ name }) => names.has(name));
  const discardedObjects = await collection.discard(survey);
  const isOver = ({ number, writtenMs }: PackUse): boolean => number !== null || writtenMs < startedMs - STRAY_AGE_MS;
  const removed = await collection.remove(packs.filter((use) => use.neededObjects === 0 && isOver(use)));
  const rewritten = worthRewriting(packs);
  for (const group of inGroups(rewritten)) {
    await collection.rewrite(group);
    removed.push(...(await collection.remove(group)));
  }
  return { discardedObjects, rewrittenPacks: rewritten.length, removedPacks: removed };
}

class Collection {
  private readonly packsDirectory: string;

  constructor(
    private readonly stateDirectory: string,
    private readonly site: CollectionSite,
  ) {
    this.packsDirectory = join(stateDirectory, 'packs');
  }

  async discard({ unused }: Pick<CollectionSurvey, 'unused'>): Promise<number> {
    let discarded = 0;
    for (const objects of unused) {
      for (const batch of objects.batches(SLICE_OBJECTS))
        discarded += batch.length - (await this.site.collect(batch, []));
    }
    return discarded;
  }

  async rewrite(packs: readonly PackUse[]): Promise<void> {
    for (const { moved, damaged } of rewritePacks(this.packsDirectory, this.objectsOf(packs))) {
      for (let from = 0; from < moved.length; from += SLICE_OBJECTS)
        await this.site.collect([], moved.slice(from, from + SLICE_OBJECTS));
      if (damaged.length > 0) await this.site.verify(damaged);
    }
  }

  /** Removes what the index names nothing in. That this is so is looked at once more, in what the site committed. */
  async remove(packs: readonly PackUse[]): Promise<string[]> {
    if (packs.length === 0) return [];
    const retired = new Set(await this.site.retire(packs.map(({ name }) => name)));
    const used = this.usedNumbers();
    const removed: string[] = [];
    for (const { name, number } of packs) {
      if (!retired.has(name) || (number !== null && used.has(number))) continue;
      rmSync(join(this.packsDirectory, name), { force: true });
      removed.push(name);
    }
    return removed;
  }

  private usedNumbers(): ReadonlySet<number> {
    const db = openStateReader(statePath(this.stateDirectory));
    try {
      return new Set(db.prepare('select distinct pack from object').pluck().all() as number[]);
    } finally {
      db.close();
    }
  }

  /** What is in these packs now, in their order: so they are read from front to back. */
  private objectsOf(packs: readonly PackUse[]): RewrittenObject[] {
    const db = openStateReader(statePath(this.stateDirectory));
    try {
      const names = new Map(packs.map(({ number, name }) => [number, name]));
      const objects: RewrittenObject[] = [];
      type Row = Omit<RewrittenObject, 'id' | 'pack'> & { id: Buffer };
      const select = db.prepare('select id, pack as packNumber, offset, stored, raw, kind, flags from object');
      for (const row of select.iterate() as IterableIterator<Row>) {
        const pack = names.get(row.packNumber);
        if (pack !== undefined) objects.push({ ...row, id: row.id.toString('hex'), pack });
      }
      return objects.toSorted((a, b) => a.packNumber - b.packNumber || a.offset - b.offset);
    } finally {
      db.close();
    }
  }
}

function* inGroups(packs: readonly PackUse[]): Generator<PackUse[]> {
  let group: PackUse[] = [];
  let objects = 0;
  for (const use of packs) {
    group.push(use);
    objects += use.neededObjects;
    if (objects < REWRITE_OBJECTS) continue;
    yield group;
    group = [];
    objects = 0;
  }
  if (group.length > 0) yield group;
}

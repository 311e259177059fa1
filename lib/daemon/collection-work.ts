// collection-work.ts — what a collection or an eviction does on a thread of its own: it surveys, and if it is to, carries out what it found.
// It changes packs only by adding and removing whole ones; what concerns the index it asks the main thread, which asks the site's.

import { join } from 'node:path';
import { listPacks, wasteOf, worthRewriting } from '../chunks/pack-use.js';
import { carryOut, type CollectionSite } from '../volume/collection.js';
import { type CollectionSurvey, surveyObjects } from '../volume/collection-survey.js';
import { planEviction } from '../volume/eviction.js';
import type {
  CollectionAnswer,
  CollectionData,
  CollectionQuestion,
  CollectionReport,
  EvictionData,
} from './collector.js';
import type { Evicted } from './content-interface.js';

/** Asks the main thread. */
export type Ask = <V>(question: CollectionQuestion) => Promise<V>;

export async function workOn(data: CollectionData | EvictionData, ask: Ask): Promise<CollectionAnswer> {
  const site: CollectionSite = {
    collect: (unused, moved) => ask({ ask: 'collect', unused, moved, areEvicted: 'eviction' in data }),
    retire: (packs) => ask({ ask: 'retire', packs }),
    verify: (ids) => ask({ ask: 'verify', ids }),
  };
  return 'eviction' in data ? { evicted: await evict(data, site, ask) } : { report: await collect(data, site, ask) };
}

function diskBytes(stateDirectory: string): number {
  const packs = listPacks(join(stateDirectory, 'packs'), new Map());
  return packs.reduce((sum, pack) => sum + pack.diskBytes, 0);
}

function reportOf(survey: CollectionSurvey): CollectionReport {
  const { kept, unused, unusedBytes, packs } = survey;
  return {
    kept,
    unused: { objects: unused.reduce((sum, { length }) => sum + length, 0), bytes: unusedBytes },
    packs: packs.length,
    packBytes: packs.reduce((sum, pack) => sum + pack.diskBytes, 0),
    reclaimableBytes: wasteOf([...packs.filter(({ neededObjects }) => neededObjects === 0), ...worthRewriting(packs)]),
    waitsFor: [],
    collected: null,
  };
}

async function collect(data: CollectionData, site: CollectionSite, ask: Ask): Promise<CollectionReport> {
  const { request, carriesOut, sealed, startedMs } = data;
  const { stateDirectory } = request;
  const survey = surveyObjects(request);
  const report = reportOf(survey);
  if (!carriesOut) return report;
  const { needed, unneeded, damaged } = survey;
  if (damaged.length > 0) await site.verify(damaged);
  if (needed.length + unneeded.length > 0) await ask({ ask: 'correctWants', needed, unneeded });
  const collected = await carryOut(stateDirectory, survey, site, sealed, startedMs);
  const { discardedObjects, removedPacks, rewrittenPacks } = collected;
  const freedBytes = report.packBytes - diskBytes(stateDirectory);
  return { ...report, collected: { discardedObjects, rewrittenPacks, removedPacks: [...removedPacks], freedBytes } };
}

async function evict(data: EvictionData, site: CollectionSite, ask: Ask): Promise<Evicted> {
  const { eviction, sealed, startedMs } = data;
  const { stateDirectory } = eviction;
  const before = diskBytes(stateDirectory);
  const plan = await planEviction(eviction, (ids) => ask({ ask: 'kept', ids }));
  const { discardedObjects, removedPacks } = await carryOut(stateDirectory, plan, site, sealed, startedMs);
  const { evictedBytes, lastCopyBytes } = plan;
  const freedBytes = before - diskBytes(stateDirectory);
  return { objects: discardedObjects, bytes: evictedBytes, lastCopyBytes, freedBytes, removedPacks: [...removedPacks] };
}

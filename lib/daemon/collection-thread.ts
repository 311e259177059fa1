// collection-thread.ts — the thread of one collection: surveys, and if it is to, carries out what it found. Started by collector.ts.
// It changes packs only by adding and removing whole ones; what concerns the index it asks the main thread, which asks the site's.

import { parentPort, workerData } from 'node:worker_threads';
import { join } from 'node:path';
import { listPacks, wasteOf, worthRewriting } from '../chunks/pack-use.js';
import { carryOut, type CollectionSite } from '../volume/collection.js';
import { type CollectionSurvey, surveyObjects } from '../volume/collection-survey.js';
import { type EvictionRequest, planEviction } from '../volume/eviction.js';
import type { CollectionAnswer, CollectionData, CollectionQuestion, CollectionReport } from './collector.js';
import type { CollectionThreadData } from './collector.js';
import type { Evicted } from './content-interface.js';

const port = parentPort!;
const data = workerData as CollectionThreadData;
const { stateDirectory } = 'eviction' in data ? data.eviction : data.request;
const { sealed, startedMs } = data;

const waiting = new Map<number, { resolve: (value: never) => void; reject: (error: Error) => void }>();
let nextId = 1;

function ask<V>(question: CollectionQuestion): Promise<V> {
  const id = nextId++;
  return new Promise<V>((resolve, reject) => {
    waiting.set(id, { resolve, reject });
    port.postMessage({ id, question }, []);
  });
}

port.on('message', ({ id, value, error }: CollectionAnswer) => {
  const { resolve, reject } = waiting.get(id)!;
  waiting.delete(id);
  if (error === undefined) resolve(value as never);
  else reject(new Error(error));
});

const site: CollectionSite = {
  collect: (unused, moved) => ask({ ask: 'collect', unused, moved, areEvicted: 'eviction' in data }),
  retire: (packs) => ask({ ask: 'retire', packs }),
  verify: (ids) => ask({ ask: 'verify', ids }),
};

function diskBytes(): number {
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

async function collect({ request, carriesOut }: CollectionData): Promise<CollectionReport> {
  const survey = surveyObjects(request);
  const report = reportOf(survey);
  if (!carriesOut) return report;
  const { needed, unneeded, damaged } = survey;
  if (damaged.length > 0) await site.verify(damaged);
  if (needed.length + unneeded.length > 0) await ask({ ask: 'correctWants', needed, unneeded });
  const collected = await carryOut(stateDirectory, survey, site, sealed, startedMs);
  const { discardedObjects, removedPacks, rewrittenPacks } = collected;
  const freedBytes = report.packBytes - diskBytes();
  return { ...report, collected: { discardedObjects, rewrittenPacks, removedPacks: [...removedPacks], freedBytes } };
}

async function evict(request: EvictionRequest): Promise<Evicted> {
  const before = diskBytes();
  const plan = await planEviction(request, (ids) => ask({ ask: 'kept', ids }));
  const { discardedObjects, removedPacks } = await carryOut(stateDirectory, plan, site, sealed, startedMs);
  const { evictedBytes, lastCopyBytes } = plan;
  const freedBytes = before - diskBytes();
  return { objects: discardedObjects, bytes: evictedBytes, lastCopyBytes, freedBytes, removedPacks: [...removedPacks] };
}

try {
  if ('eviction' in data) port.postMessage({ evicted: await evict(data.eviction) }, []);
  else port.postMessage({ report: await collect(data) }, []);
} finally {
  port.close();
}

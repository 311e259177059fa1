// collector.test.ts — when a site collects without being asked.

import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { temporaryDirectory } from '../journal/temporary-directory.js';
import { systemClock } from '../sync/system-clock.js';
import { Collector, type CollectorOptions } from './collector.js';
import type { SiteRequests } from './site-sync-store.js';

const OBJECT = 'ab'.repeat(32);
const LONGER_THAN_DELAY_MS = 900;

function stateWithPacks(t: TestContext): string {
  const directory = temporaryDirectory(t);
  mkdirSync(join(directory, 'packs'));
  return directory;
}

/** A collector whose collections fail as soon as they begin, and how many did. */
function collectorWithCount(t: TestContext): { collector: Collector; begun: () => number } {
  let count = 0;
  const request = (name: string): Promise<never> => {
    if (name === 'beginCollection') count++;
    return Promise.reject(new Error('only counted'));
  };
  const options = {
    stateDirectory: stateWithPacks(t),
    clock: systemClock,
    site: { request } as unknown as SiteRequests,
    packUsers: { seal: async () => {}, forget: () => {} },
    log: { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} },
  };
  const collector = new Collector(options as unknown as CollectorOptions);
  t.after(() => collector.close());
  return { collector, begun: () => count };
}

test('a file that began to be written as an eviction began lost what was written, by SIGKILL', async (t) => {
  const asked: string[] = [];
  const request = (name: string): Promise<unknown> => {
    asked.push(name);
    return name === 'fold' ? Promise.reject(new Error('far enough')) : Promise.resolve({ inUse: [], written: [] });
  };
  const packUsers = { seal: async () => void asked.push('seal'), forget: () => {} };
  const stateDirectory = stateWithPacks(t);
  const collector = new Collector({
    stateDirectory,
    clock: systemClock,
    site: { request },
    packUsers,
  } as unknown as CollectorOptions);
  t.after(() => collector.close());
  await assert.rejects(collector.evict({ bytes: 1 }, []), /far enough/);
  // From when it began on, what is begun to be written is cited; so what is written is asked for then.
  assert.deepEqual(asked, ['seal', 'beginCollection', 'versionsWritten', 'fold', 'endCollection']);
});

test('an object that nobody has is looked at soon', async (t) => {
  const { collector, begun } = collectorWithCount(t);
  collector.reportedAbsent([OBJECT]);
  await sleep(LONGER_THAN_DELAY_MS);
  assert.equal(begun(), 1);
});

test('in a chain of sites each collected again and again, for objects that were only on their way', async (t) => {
  const { collector, begun } = collectorWithCount(t);
  collector.reportedAbsent([OBJECT]);
  collector.arrived([OBJECT]);
  await sleep(LONGER_THAN_DELAY_MS);
  assert.equal(begun(), 0);
});

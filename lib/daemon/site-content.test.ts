// site-content.test.ts — which of what nobody has is looked at by a collection.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '../sync/system-clock.js';
import type { Collector } from './collector.js';
import { someSiteConfig } from './site-config.test-support.js';
import { SiteContent, type SiteContentOptions } from './site-content.js';

test('a site that fetches on demand waits for ever for what a merge needed and nobody keeps', (t) => {
  const reported: string[] = [];
  const collector = { reportedAbsent: (ids: readonly string[]) => void reported.push(...ids) };
  const content = new SiteContent({
    state: { directory: '/nowhere', config: () => ({ ...someSiteConfig('/nowhere'), content: 'on-demand' }) },
    clock: systemClock,
    collector: () => collector as unknown as Collector,
    peers: () => [],
    isWanted: (id: string) => id === 'for a merge',
  } as unknown as SiteContentOptions);
  t.after(() => content.close());
  content.absentEverywhere(['for a reader', 'for a merge']);
  assert.deepEqual(reported, ['for a merge']);
});

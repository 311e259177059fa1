// site-content.test.ts — what a site does about objects that no linked peer has.

import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { systemClock } from '../sync/system-clock.js';
import type { Collector } from './collector.js';
import { someSiteConfig } from './site-config.test-support.js';
import { type ContentPeer, SiteContent, type SiteContentOptions } from './site-content.js';

/** A site that fetches on demand. */
function onDemand(t: TestContext, peers: ContentPeer[]): { content: SiteContent; reported: string[] } {
  const reported: string[] = [];
  const collector = { reportedAbsent: (ids: readonly string[]) => void reported.push(...ids) };
  const content = new SiteContent({
    state: { directory: '/nowhere', config: () => ({ ...someSiteConfig('/nowhere'), content: 'on-demand' }) },
    clock: systemClock,
    collector: () => collector as unknown as Collector,
    peers: () => peers,
    isWanted: (id: string) => id === 'for a merge',
    changed: () => {},
  } as unknown as SiteContentOptions);
  t.after(() => content.close());
  return { content, reported };
}

test('a site that fetches on demand waits for ever for what a merge needed and nobody keeps', (t) => {
  const { content, reported } = onDemand(t, []);
  content.absentEverywhere(['for a reader', 'for a merge']);
  assert.deepEqual(reported, ['for a merge']);
});

test('what is several sites away that fetch on demand takes 40 seconds for each of them', (t) => {
  const asks: ContentPeer = { site: 'asks', state: 'connected', keepsAll: true };
  const seeks: ContentPeer = { site: 'seeks', state: 'connected', keepsAll: false };
  const sought = (peers: ContentPeer[]): string[] => {
    const { content } = onDemand(t, peers);
    content.askedByPeer('for a peer');
    content.absentEverywhere(['for a peer']);
    return [...content.urgent()];
  };
  assert.deepEqual(sought([asks, seeks]), ['for a peer'], 'who was asked seeks it, and says when it came');
  assert.deepEqual(sought([asks]), []);
  assert.deepEqual(sought([asks, { ...seeks, state: 'unreachable' }]), []);
});

// hello.test-support.ts — the first message of a site that has nothing and is asked for nothing, for tests that speak for a peer.

import type { SiteId } from '../crdt/ids.js';
import { type Hello, PROTOCOL_VERSION } from './message.js';

/** @param more what is different about it */
export function helloOf(siteId: SiteId, more: Partial<Hello> = {}): Hello {
  return {
    type: 'hello',
    version: PROTOCOL_VERSION,
    volumeId: 'volume-1',
    siteId,
    instance: 'ab'.repeat(8),
    site: 'guest',
    slot: 0,
    address: '',
    vector: new Map(),
    missingCount: 0,
    keepsAll: true,
    introductions: [],
    ...more,
  };
}

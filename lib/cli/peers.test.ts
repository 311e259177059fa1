import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PeerRow } from '../daemon/daemon-interface.js';
import { peersTable } from './peers.js';

test('when a site was last seen is said in local time, as all times are', (t) => {
  const earlier = process.env['TZ'];
  t.after(() => {
    if (earlier === undefined) delete process.env['TZ'];
    else process.env['TZ'] = earlier;
  });
  process.env['TZ'] = 'America/New_York';
  const row: PeerRow = {
    site: 'oslo',
    siteId: '01'.repeat(16),
    identity: null,
    addresses: [],
    role: 'read-write',
    state: 'unreachable',
    lastSeen: '2026-03-02T10:41:07.123Z',
    behindCommits: 0,
    aheadCommits: 0,
    aheadBytes: 0,
    missingObjects: 0,
    quarantined: 0,
  };
  assert.match(peersTable([row]), /^oslo .* 2026-03-02T05:41:07 /m);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { contentLines, statusTable, type SiteReport } from './status.js';

const peer = {
  siteId: null,
  address: null,
  behindCommits: 0,
  aheadCommits: 0,
  aheadBytes: 0,
  receivingBytesPerS: 0,
  sendingBytesPerS: 0,
  keepsAll: true,
  lastError: null,
};
const mounted: Extract<SiteReport, { mounted: true }> = {
  mounted: true,
  stateDirectory: '/var/lib/weft/team',
  volume: 'team',
  site: 'paris',
  siteId: '2'.repeat(32),
  mountpoint: '/mnt/team',
  listen: '127.0.0.1:7420',
  digest: 'd1',
  peers: [
    { ...peer, site: 'oslo', state: 'connected', behindCommits: 1204 },
    { ...peer, site: 'bergen', state: 'unreachable', behindCommits: 5, aheadCommits: 2, aheadBytes: 18_432 },
    { ...peer, site: 'rome', state: 'paused', aheadCommits: 1 },
  ],
  pid: 4711,
  driver: 'kernel',
  conflicts: 2,
  inodes: 1204,
  journalBytes: 0,
  journalHeldBy: null,
  chunkBytes: 0,
  missingObjects: 3,
  missingBytes: 5 << 20,
  absentBytes: null,
  unsharedBytes: 310 << 20,
  content: 'everything',
  rssBytes: 0,
};
const unmounted: SiteReport = {
  mounted: false,
  state: 'not mounted',
  stateDirectory: '/var/lib/weft/other',
  volume: 'other',
  site: 'paris',
  siteId: '2'.repeat(32),
  mountpoint: '/mnt/other',
  listen: '127.0.0.1:0',
  driver: 'kernel',
  pid: null,
  digest: null,
  peers: [],
};

test('one row per site here and one per peer; what a peer has is unknown while it cannot be asked', () => {
  assert.equal(
    statusTable([mounted, unmounted, { ...unmounted, state: 'daemon died' }]),
    [
      'VOLUME  SITE    LINK         BEHIND              AHEAD              CONFLICTS  MOUNTPOINT',
      'team    paris   here         3 objects, 5.0 MiB  310 MiB            2          /mnt/team',
      'team    oslo    connected    1 204 changes       0',
      'team    bergen  unreachable  unknown             2 changes, 18 KiB',
      'team    rome    paused       unknown             1 change',
      'other   paris   not mounted  -                   -                  -          /mnt/other',
      'other   paris   daemon died  -                   -                  -          /mnt/other',
    ].join('\n'),
  );
});

test('what is to come, how fast it comes, and what is only here is said in words; nothing where there is nothing', () => {
  const [oslo] = mounted.peers;
  const moving = { ...oslo!, receivingBytesPerS: 1 << 20, sendingBytesPerS: 2048 };
  assert.deepEqual(contentLines({ ...mounted, peers: [moving], absentBytes: 3 * 2 ** 30 }), [
    'to fetch: 5.0 MiB in 3 objects, 1.0 MiB/s, 5 s to go',
    "on demand: 3.0 GiB of the files' content is not here",
    'at no other site that keeps everything: 310 MiB',
    'sending 2.0 KiB/s',
  ]);
  assert.deepEqual(contentLines({ ...mounted, missingObjects: 0, missingBytes: 0, unsharedBytes: 0 }), []);
});

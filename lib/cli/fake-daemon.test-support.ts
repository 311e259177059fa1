// fake-daemon.test-support.ts — a daemon without a volume, for tests of the command line; also runnable as its process.
// It mounts nothing. What it does is decided by the volume's name, which travels the same way as in the real thing.

import { setTimeout as delay } from 'node:timers/promises';
import type { JournalReport } from '../daemon/journal-report.js';
import type { BandwidthControl } from '../daemon/bandwidth.js';
import type { ContentControl, ContentSettings, Evicted, PinnedPath } from '../daemon/content-interface.js';
import type { HistoryRow, SiteHistory } from '../daemon/history-interface.js';
import type {
  BackupTaken,
  CollectionReport,
  ConflictRow,
  Daemon,
  DaemonModule,
  SettledRow,
  DamagedData,
  SiteState,
  SiteStatus,
  Transfer,
} from '../daemon/daemon-interface.js';
import { serveJob } from './daemon-process.js';

const PATH = Buffer.from('/plän\u001b.md').toString('latin1');
const SIDE = { path: PATH, time: '2026-01-02T03:04:05.678Z', type: 'file', size: 5, uid: 0, value: null };

export const FAKE_CONFLICT: ConflictRow = {
  id: '1',
  path: PATH,
  kind: 'copy',
  sites: ['paris', 'oslo'],
  shown: { ...SIDE, site: 'paris' },
  hidden: { ...SIDE, site: 'oslo', path: `${PATH}.~oslo-abcd` },
  attribute: null,
  reason: 'both wrote',
  choices: ['paris', 'oslo', 'both', 'merge'],
};

const FAKE_HISTORY: readonly HistoryRow[] = [
  {
    event: 'written',
    version: '1042-9fe3a1',
    current: true,
    stamp: Date.UTC(2026, 10, 21, 6) * 1000,
    site: 'paris',
    uid: 0,
    size: 2048,
    path: Buffer.from('/plän.md').toString('latin1'),
    detail: '',
    ino: 7,
  },
];

const fakePast: SiteHistory = {
  history: async (_path, limit) => FAKE_HISTORY.slice(0, limit),
  restore: async (path, version, to) => {
    if (version === 'never') throw new Error(`${path} has no version ${version}: weft history lists the versions`);
    return { version: '1042-9fe3a1', path: to ?? path };
  },
  undelete: async (path, since) => ({ path: since === null ? `${path}.undeleted` : path, names: 3 }),
  snapshots: async () => ({
    snapshots: [{ name: 'before', site: 'oslo', stamp: Date.UTC(2026, 10, 21, 6) * 1000 }],
    keep: { volume: { age: 2_592_000 }, site: { bytes: 1024 }, inForce: { age: 2_592_000, count: 1e9, bytes: 1024 } },
    isHidden: false,
  }),
  createSnapshot: async (name) => {
    if (name === 'before')
      throw new Error('there is a snapshot before of oslo: choose another name, or delete it first');
  },
  deleteSnapshot: async () => {},
  keep: async () => {},
};

/** Whatever is chosen is chosen. */
class FakeContent implements ContentControl {
  private chosen: ContentSettings = { policy: 'everything', cacheBytes: null, keepFreeBytes: null };
  private pinned: readonly string[] = [];

  settings(): ContentSettings {
    return this.chosen;
  }

  async choose(change: Partial<ContentSettings>): Promise<void> {
    this.chosen = { ...this.chosen, ...change };
  }

  async pin(paths: readonly string[]): Promise<void> {
    this.pinned = [...this.pinned, ...paths];
  }

  async unpin(paths: readonly string[]): Promise<void> {
    this.pinned = this.pinned.filter((path) => !paths.includes(path));
  }

  async pins(): Promise<readonly PinnedPath[]> {
    return this.pinned.map((path) => ({ path, files: 3, bytes: 3 << 20, missingBytes: 1 << 20 }));
  }

  async evict(path: string): Promise<Evicted> {
    if (path === '/pinned') throw new Error('/pinned is pinned: weft unpin it first');
    return { objects: 4, bytes: 2 << 20, lastCopyBytes: 1 << 10, freedBytes: 2 << 20, removedPacks: ['a.pack'] };
  }
}

export class FakeDaemon implements Daemon {
  readonly calls: string[] = [];
  peers: SiteStatus['peers'] = [
    {
      site: 'oslo',
      siteId: 'b'.repeat(32),
      address: '127.0.0.1:7421',
      state: 'connected',
      behindCommits: 0,
      aheadCommits: 0,
      aheadBytes: 0,
      receivingBytesPerS: 0,
      sendingBytesPerS: 0,
      keepsAll: true,
      lastError: null,
    },
  ];
  readonly past = fakePast;
  readonly content = new FakeContent();
  readonly bandwidth: BandwidthControl = {
    report: () => ({ rules: [], now: { upBytesPerS: null, downBytesPerS: null } }),
    change: (change) => void this.calls.push(`limit ${JSON.stringify(change)}`),
  };
  private end!: () => void;
  readonly ended = new Promise<void>((resolve) => (this.end = resolve));

  constructor(private readonly state: SiteState) {}

  async status(): Promise<SiteStatus> {
    const { volume, site, siteId, mountpoint, listen, driver } = this.state.config();
    const sizes = {
      conflicts: 1,
      inodes: 1204,
      journalBytes: 0,
      journalHeldBy: null,
      chunkBytes: 0,
      missingObjects: 0,
      missingBytes: 0,
      absentBytes: null,
      unsharedBytes: 0,
      content: 'everything' as const,
      rssBytes: 1 << 20,
    };
    return {
      volume,
      site,
      siteId,
      mountpoint,
      listen,
      driver,
      digest: 'd1',
      peers: this.peers,
      pid: process.pid,
      ...sizes,
    };
  }

  async transfer(): Promise<Transfer> {
    return { behindCommits: 0, aheadCommits: 3, missingObjects: 0, missingBytes: 0, receivingBytesPerS: 0 };
  }

  async syncWait(timeoutMs: number): Promise<boolean> {
    if (this.state.config().volume !== 'lagging') return true;
    this.peers = this.peers.map((peer) => ({ ...peer, aheadCommits: 3 }));
    await delay(timeoutMs);
    return false;
  }

  async collect(carriesOut: boolean): Promise<CollectionReport> {
    this.calls.push(`collect ${carriesOut}`);
    const none = { objects: 0, bytes: 0 };
    const kept = { conflict: none, merge: none, open: none, snapshot: none, history: none, unlisted: none };
    const collected = { discardedObjects: 7, rewrittenPacks: 1, removedPacks: ['a.pack'], freedBytes: 3 << 20 };
    return {
      kept: { ...kept, shown: { objects: 1204, bytes: 5 << 20 }, peers: { objects: 2, bytes: 1024 } },
      unused: { objects: 7, bytes: 2 << 20 },
      packs: 3,
      packBytes: 9 << 20,
      reclaimableBytes: 3 << 20,
      waitsFor: ['oslo'],
      collected: carriesOut ? collected : null,
    };
  }

  async keepHistory(durationMs: number): Promise<void> {
    this.calls.push(`keepHistory ${durationMs}`);
  }

  async journal(awayMs: number | null): Promise<JournalReport> {
    return { bytes: 0, since: null, heldBy: null, awayMs: awayMs ?? 1, sites: [] };
  }

  async pause(peer: string | null): Promise<void> {
    this.record('pause', peer);
  }

  async resume(peer: string | null): Promise<void> {
    this.record('resume', peer);
  }

  async peersKnown(): Promise<never[]> {
    return [];
  }
  async setRole(site: string, kind: string): Promise<void> {
    this.record('setRole', `${site} ${kind}`);
  }
  async addPeer(peer: string): Promise<void> {
    this.record('addPeer', peer);
  }

  async removePeer(peer: string): Promise<void> {
    throw new Error(`no peer is called ${peer}: weft status lists them`);
  }

  async renameSite(name: string): Promise<void> {
    this.calls.push(`rename ${name}`);
  }

  async rotateKey(): Promise<string> {
    return 'ab'.repeat(32);
  }

  async backup(directory: string): Promise<BackupTaken> {
    this.calls.push(`backup ${directory}`);
    return { directory, bytes: 2 << 20, unfinishedFiles: 0 };
  }

  async invite(ttlMs: number): Promise<string> {
    return `weft://127.0.0.1:7420/team#for-${ttlMs}-ms`;
  }

  async conflicts(pathPrefix: string | null): Promise<ConflictRow[]> {
    return pathPrefix === null || FAKE_CONFLICT.path.startsWith(pathPrefix) ? [FAKE_CONFLICT] : [];
  }

  private settled: SettledRow[] = [];

  async resolveConflict(id: string, keep: string): Promise<SettledRow> {
    const row = { id, path: PATH, kind: 'copy', keep, time: SIDE.time, done: `${PATH}: kept ${keep}` };
    this.settled.push(row);
    return row;
  }

  async settledConflicts(): Promise<SettledRow[]> {
    return this.settled;
  }

  async undoResolve(): Promise<SettledRow> {
    return this.settled.pop()!;
  }

  async repair(damaged: DamagedData): Promise<DamagedData> {
    return damaged;
  }

  async stop(force: boolean): Promise<null> {
    if (this.state.config().volume === 'busy' && !force)
      throw new Error('the mount is busy: fuser -m names who uses it');
    this.record('stop', String(force));
    this.end();
    return null;
  }

  private record(verb: string, argument: string | null): void {
    this.calls.push(`${verb} ${argument}`);
  }
}

export const fakeModule: DaemonModule = {
  createVolume: async (state) => {
    if (state.config().volume === 'refused') throw new Error('port 7420 is in use: choose another with --listen');
    if (state.config().volume === 'killed') process.kill(process.pid, 'SIGKILL');
    if (state.config().volume === 'broken') throw Object.assign(new Error('first line\nsecond line'), { code: 'EIO' });
    if (state.config().volume === 'slow') await delay(60_000);
  },
  joinVolume: async (invite, draft, makeState, progress) => {
    const ids = { volumeId: 'a'.repeat(32), volume: 'joined', slot: 2 };
    const state = makeState({ ...draft, ...ids, peers: [invite.slice(7, 21)] });
    for (let done = 0; done <= 5000; done += 1204) progress({ what: 'changes', done, total: 5000 });
    return state;
  },
  startDaemon: async (state) => {
    state.saveConfig({ ...state.config(), listen: '127.0.0.1:7420' });
    return new FakeDaemon(state);
  },
};

if (process.argv[2] === 'daemon') await serveJob(async () => fakeModule);

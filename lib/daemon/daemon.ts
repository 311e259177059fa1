// daemon.ts — one running site: the site thread, the links, the workers, wired together. Read this file to see who talks to whom.
//
//   site thread ──committed──▶ DurableCommits ──advanced──▶ Syncer ──changes, objects──▶ peers
//               ◀──changes, objects── SiteSyncStore ◀──────────────── Syncer
//               ──ingest──▶ IngestPool ──ingested──▶ site thread          checkpoint thread: SQLite's log
//
// Invariant: nothing is sent or acknowledged before it is durable. The main thread never touches the mount: the site thread might
// be waiting for it.

import { randomBytes, randomInt } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { AbsentObjects } from '../chunks/absent-objects.js';
import { fsyncPaths } from '../chunks/fsync-paths.js';
import { IngestPool } from '../chunks/ingest.js';
import { ReceivedObjects } from '../chunks/received-objects.js';
import { unmountKernel } from '../fuse/mount.js';
import { type CheckpointThread, startCheckpointThread } from '../journal/checkpoint-thread.js';
import { makeCommitsDurable } from '../journal/checkpointer.js';
import { intentPath, SEGMENT_BYTES } from '../journal/intent-log.js';
import { supplySegment } from '../journal/segment-supply.js';
import { healState, statePath } from '../journal/schema.js';
import { redeemInvite } from '../sync/join.js';
import type { SyncClock, SyncRandom } from '../sync/ports.js';
import { Syncer } from '../sync/syncer.js';
import type {
  CollectionReport,
  ConflictRow,
  Daemon,
  DamagedData,
  Log,
  MergedFile,
  Progress,
  SettledRow,
  SiteConfig,
  SiteState,
  SiteStatus,
} from './daemon-interface.js';
import { AbsentReads } from './absent-reads.js';
import { Collector } from './collector.js';
import { DurableCommits } from './durable-commits.js';
import { InviteFile } from './invite-file.js';
import { KnownPeersFile } from './known-peers-file.js';
import { Past } from './past.js';
import { Settlements } from './settlements.js';
import { SiteClient } from './site-client.js';
import { SiteSyncStore } from './site-sync-store.js';
import { SyncPacing } from './sync-pacing.js';
import { lostCommits, StateMark } from './state-mark.js';
import { isCopy, recordOrigin } from './state-origin.js';
import type { FromSite } from './thread-protocol.js';
import { type Survey, TreeSurvey } from './tree-survey.js';

/** A first join waits so long without any progress before it gives up. */
const JOIN_STALL_MS = 60_000;
const JOIN_POLL_MS = 100;
const KEEP_PEERS_MS = 500;
/** What is damaged is waited for so long, as long as a site is linked that may have it … */
const REPAIR_WAIT_MS = 60_000;
/** … and when none is, this long for one to connect. */
const REPAIR_UNLINKED_MS = 2_000;
const REPAIR_POLL_MS = 100;
/** setTimeout takes 31 bits; more would fire at once. */
const MAX_TIMER_MS = 2 ** 31 - 1;

const clock: SyncClock = {
  now: () => performance.now(),
  wallMs: () => Date.now(),
  setTimer: (delayMs, fire) => {
    const timer = setTimeout(fire, Math.min(delayMs, MAX_TIMER_MS));
    timer.unref();
    return () => clearTimeout(timer);
  },
};

const random: SyncRandom = {
  jitter: () => randomInt(2 ** 32) / 2 ** 32,
  bytes: (length) => randomBytes(length),
};

class RunningSite implements Daemon {
  readonly ended: Promise<void>;
  readonly past: Past;
  private site!: SiteClient; // set by start(), before anything but a first commit uses it
  private store!: SiteSyncStore;
  private syncer!: Syncer;
  private received!: ReceivedObjects;
  private collector: Collector | null = null;
  private readonly absentReads: AbsentReads;
  private checkpoints: CheckpointThread | null = null;
  private readonly durable: DurableCommits;
  private readonly pacing = new SyncPacing();
  private readonly ingest: IngestPool;
  private readonly knownPeers: KnownPeersFile;
  private readonly survey: TreeSurvey;
  private readonly settlements: Settlements;
  private readonly mark: StateMark;
  private keepingPeers: NodeJS.Timeout | null = null;
  private closing: Promise<void> | null = null;
  private listen = '';
  private finish!: () => void;
  private fail!: (error: Error) => void;

  constructor(
    private readonly state: SiteState,
    private readonly log: Log,
  ) {
    const { directory } = state;
    this.mark = new StateMark(directory);
    this.durable = new DurableCommits(
      async (unsynced) => {
        this.pacing.began(performance.now());
        await fsyncPaths(unsynced);
        await makeCommitsDurable(directory);
        this.pacing.ended(performance.now());
      },
      (commit) => this.advanced(commit),
      (error) => this.diskFailed(error),
      () => this.pacing.mayWaitMs(performance.now(), this.linked),
    );
    this.ingest = new IngestPool(statePath(directory), join(directory, 'packs'));
    this.knownPeers = new KnownPeersFile(directory, log);
    this.survey = new TreeSurvey(directory);
    this.past = new Past(directory, () => this.site, {
      get: () => this.config().keepHistoryMs,
      set: (ageMs) => {
        const { keepHistoryMs: _, ...config } = this.config();
        this.state.saveConfig(ageMs === undefined ? config : { ...config, keepHistoryMs: ageMs });
      },
    });
    this.absentReads = new AbsentReads({
      clock,
      log,
      peers: () => this.syncer?.peers() ?? [],
      holds: (id) => this.store.holds(id),
      giveUp: (ids) => this.site.send({ type: 'unavailable', ids }),
    });
    this.settlements = new Settlements(directory, this.ingest, this.survey, clock.wallMs, () => ({
      site: this.site,
      store: this.store,
    }));
    this.ended = new Promise((resolve, reject) => {
      this.finish = resolve;
      this.fail = reject;
    });
    // Whoever stops the daemon in an orderly way does not wait for this promise.
    this.ended.catch(() => {});
  }

  private config(): SiteConfig {
    return this.state.config();
  }

  /** Recovers, mounts if asked to, listens and dials. */
  async start(mount: boolean): Promise<void> {
    const { directory } = this.state;
    supplySegment(intentPath(directory), SEGMENT_BYTES); // there at once from the second start on
    this.site = await SiteClient.start(
      { stateDirectory: directory, config: this.config(), mount, actorId: randomBytes(16).toString('hex') },
      {
        committed: (message) => this.committed(message),
        ingest: ({ job }) => void this.runIngest(job),
        asked: ({ ids }) => void this.answerPast(ids),
        needed: ({ ids }) => {
          this.absentReads.needed(ids);
          this.syncer?.advanced(); // these first
        },
        unused: ({ files }) => void this.removeFiles(files),
      },
      this.log,
    );
    void this.site.ended.then((reason) => this.siteEnded(reason));
    try {
      this.checkpoints = startCheckpointThread(directory, (error) => this.diskFailed(error));
      await this.site.request('report', null);
      await this.durable.reached(this.durable.lastReported);
      this.received = new ReceivedObjects(join(directory, 'packs'));
      this.store = new SiteSyncStore(this.site, this.durable, this.received, () => this.config(), directory, {
        urgent: () => this.absentReads.urgent,
        arrived: (ids) => this.absentReads.arrived(ids),
        absentEverywhere: (ids) => {
          this.absentReads.absentEverywhere(ids);
          this.collector?.reportedAbsent(ids);
        },
      });
      const config = this.config();
      this.syncer = new Syncer({
        store: this.store,
        clock,
        random,
        log: this.log,
        invites: new InviteFile(directory, clock.wallMs),
        volumeKey: this.state.volumeKey(),
        volumeName: config.volume,
        listen: config.listen,
        dial: config.peers,
        known: this.knownPeers.load(),
      });
      this.syncer.on('changed', () => {
        this.durable.reconsider();
        this.keepPeersSoon();
      });
      this.listen = await this.syncer.start();
      this.collector = this.makeCollector();
    } catch (error) {
      await this.abandon(mount);
      throw error;
    }
    if (this.listen !== this.config().listen) this.state.saveConfig({ ...this.config(), listen: this.listen });
  }

  private makeCollector(): Collector {
    return new Collector({
      stateDirectory: this.state.directory,
      site: this.site,
      durable: (commit) => this.durable.reached(commit),
      packUsers: {
        seal: async () => {
          this.received.seal();
          await this.ingest.seal();
        },
        forget: (packs) => {
          this.store.forgetPacks(packs);
          this.ingest.forgetPacks(packs);
        },
      },
      vector: () => this.durable.vector,
      peers: () => this.syncer.peersMet(),
      keepHistoryMs: () => this.config().keepHistoryMs ?? null,
      log: this.log,
    });
  }

  private async abandon(mounted: boolean): Promise<void> {
    if (mounted) await unmountKernel(this.config().mountpoint, true);
    else await this.site.request('stop', null);
    await this.site.ended;
  }

  // ── from the site thread ────────────────────────────────────────────────────────────────────────────────────────────────────

  private committed(message: Extract<FromSite, { type: 'committed' }>): void {
    this.pacing.committed(performance.now(), message.pressing);
    this.durable.committed(message);
    if (message.pressing) this.durable.reconsider();
  }

  /** Whether a peer is connected. */
  private get linked(): boolean {
    return this.syncer?.linked ?? false;
  }

  private advanced(commit: number): void {
    // The first commit, of what was recovered, is reported before the thread says that it is ready.
    this.mark.write(this.durable.commits);
    this.site?.send({ type: 'durable', commit });
    this.syncer?.advanced();
  }

  private async runIngest(job: Extract<FromSite, { type: 'ingest' }>['job']): Promise<void> {
    try {
      const result = await this.ingest.run(job);
      this.site.send({ type: 'ingested', result });
    } catch (error) {
      this.log.warn({ err: error, path: job.path }, 'a written file could not be packed yet; it is tried again');
      const absent = error instanceof AbsentObjects ? error.ids : [];
      this.site.send({ type: 'ingestFailed', jobId: job.jobId, absent });
    }
  }

  private async removeFiles(files: readonly string[]): Promise<void> {
    for (const file of files) await rm(file, { force: true });
  }

  /** Somebody looks at the tree as it was. */
  private async answerPast(ids: readonly string[]): Promise<void> {
    for (const id of ids) {
      try {
        this.site.send({ type: 'answered', id, answer: await this.past.look(id) });
      } catch (error) {
        this.log.error({ err: error, question: id }, 'a look at the past failed');
        this.site.send({ type: 'answered', id });
      }
    }
  }

  private diskFailed(error: Error): void {
    this.log.error({ err: error }, 'the disk that holds the state failed; nothing more is sent to other sites');
    this.fail(error);
  }

  private siteEnded(reason: string | null): void {
    void this.closeLinks().finally(() => {
      if (reason === null) this.finish();
      else this.fail(new Error(reason));
    });
  }

  /** Links say 'changed' with every commit; who is known, paused or dialled is kept a moment later, once for many of them. */
  private keepPeersSoon(): void {
    this.keepingPeers ??= setTimeout(() => {
      this.keepingPeers = null;
      this.keepPeers();
    }, KEEP_PEERS_MS).unref();
  }

  private keepPeers(): void {
    this.knownPeers.save(this.syncer.known());
    const dialled = this.syncer.dialled();
    const config = this.config();
    if (dialled.join() !== config.peers.join()) this.state.saveConfig({ ...config, peers: dialled });
  }

  // ── Daemon ──────────────────────────────────────────────────────────────────────────────────────────────────────────────────

  async status(): Promise<SiteStatus> {
    const { digest, inodes, conflicts } = await this.takeSurvey();
    const { journalBytes, chunkBytes, missing } = await this.site.request('status', null);
    const config = this.config();
    return {
      volume: config.volume,
      site: config.site,
      siteId: config.siteId,
      mountpoint: config.mountpoint,
      listen: this.listen,
      digest,
      peers: this.syncer
        .peers()
        .map(({ site, siteId, address, state, behindCommits, aheadCommits, aheadBytes, lastError }) => ({
          site,
          siteId,
          address,
          state,
          behindCommits,
          aheadCommits,
          aheadBytes,
          lastError,
        })),
      pid: process.pid,
      driver: config.driver,
      conflicts,
      inodes,
      journalBytes,
      chunkBytes,
      missingObjects: missing,
      rssBytes: process.memoryUsage.rss(),
    };
  }

  private async takeSurvey(): Promise<Survey> {
    const { commit } = await this.site.request('fold', null);
    return this.survey.at(commit);
  }

  async syncWait(timeoutMs: number): Promise<boolean> {
    const settled = await this.syncer.waitSettled(timeoutMs);
    // What came meanwhile is in the kernel's view only once its caches forgot the old.
    await this.store.flush();
    return settled;
  }

  async pause(peer: string | null): Promise<void> {
    this.syncer.pause(peer);
    this.keepPeers();
  }

  async resume(peer: string | null): Promise<void> {
    this.syncer.resume(peer);
    this.keepPeers();
  }

  async addPeer(address: string): Promise<void> {
    this.syncer.add(address);
    this.keepPeers();
  }

  async removePeer(peer: string): Promise<void> {
    this.syncer.remove(peer);
    this.keepPeers();
  }

  async invite(ttlMs: number): Promise<string> {
    return this.syncer.invite(ttlMs);
  }

  conflicts(pathPrefix: string | null): Promise<ConflictRow[]> {
    return this.settlements.conflicts(pathPrefix);
  }

  resolveConflict(id: string, keep: string, merged: MergedFile | null): Promise<SettledRow> {
    return this.settlements.resolve(id, keep, merged);
  }

  async settledConflicts(): Promise<SettledRow[]> {
    return this.settlements.settled();
  }

  undoResolve(id: string): Promise<SettledRow> {
    return this.settlements.undo(id);
  }

  collect(carriesOut: boolean): Promise<CollectionReport> {
    return carriesOut ? this.collector!.collect() : this.collector!.survey();
  }

  async keepHistory(durationMs: number): Promise<void> {
    this.state.saveConfig({ ...this.config(), keepHistoryMs: durationMs });
  }

  async repair({ objects, changes }: DamagedData): Promise<DamagedData> {
    await this.site.request('verify', { ids: objects });
    const { damaged } = await this.site.request('verifyChanges', { changes });
    await this.site.request('fold', null);
    // What a site holds is said when it connects.
    if (damaged > 0) this.syncer.reconnect();
    const left = (): DamagedData => ({
      objects: objects.filter((id) => !this.store.holds(id)),
      changes: changes.filter(({ actor, seq }) => (this.durable.vector.get(actor) ?? 0) < seq),
    });
    for (let waitedMs = 0; waitedMs < REPAIR_WAIT_MS; waitedMs += REPAIR_POLL_MS) {
      const { objects: missing, changes: lost } = left();
      if (missing.length + lost.length === 0) break;
      await new Promise((resolve) => setTimeout(resolve, REPAIR_POLL_MS));
      if (!this.linked && waitedMs >= REPAIR_UNLINKED_MS) break;
    }
    return left();
  }

  async stop(force: boolean): Promise<void> {
    await this.store.flush();
    // Refused while somebody uses the mount: everything goes on then.
    await unmountKernel(this.config().mountpoint, force);
    await this.site.ended;
    await this.closeLinks();
  }

  /** Ends a site that is not mounted. */
  async stopUnmounted(): Promise<void> {
    await this.closeLinks();
    await this.site.request('stop', null);
    await this.site.ended;
  }

  private closeLinks(): Promise<void> {
    return (this.closing ??= this.closeAll());
  }

  private async closeAll(): Promise<void> {
    this.absentReads.close();
    await this.collector?.close();
    if (this.syncer) this.keepPeers();
    await this.syncer?.stop();
    await this.ingest.close();
    await this.past.close();
    this.store?.close();
    // The last to close the database, and one that may write: SQLite then copies its log into it, and removes the log.
    await this.checkpoints?.stop();
    this.mark.close();
  }

  /** Claims a further inode slot for a site that no longer knows which numbers of its old one it gave out. */
  async claimFurtherSlot(): Promise<void> {
    const { slot } = await this.site.request('claimSlot', null);
    this.state.saveConfig({ ...this.config(), slot });
    await this.store.flush();
  }

  /** First commits of a new volume: its root directory and this site. */
  async found(): Promise<void> {
    const { slot } = await this.site.request('claimSlot', null);
    await this.site.request('createRoot', { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 });
    this.state.saveConfig({ ...this.config(), slot });
    await this.store.flush();
  }

  // ── joining ─────────────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Fetches every change that the inviter has, then claims an inode slot. */
  async catchUp(progress: (progress: Progress) => void): Promise<void> {
    let held = -1;
    let stalledSince = performance.now();
    for (;;) {
      const peers = this.syncer.peers();
      const connected = peers.filter((peer) => peer.state === 'connected');
      const behind = Math.max(0, ...connected.map((peer) => peer.behindCommits));
      const have = [...this.durable.vector.values()].reduce((sum, seq) => sum + seq, 0);
      if (connected.length > 0) progress({ what: 'changes', done: have, total: have + behind });
      if (connected.length > 0 && behind === 0 && have > 0) break;
      if (have !== held) stalledSince = performance.now();
      held = have;
      if (performance.now() - stalledSince > JOIN_STALL_MS) {
        const reason = peers.find((peer) => peer.lastError)?.lastError ?? 'the inviting site sends nothing';
        throw new Error(
          `the tree could not be fetched: ${reason}; check that the inviting site runs, and join with a new invite`,
        );
      }
      await new Promise((resolve) => setTimeout(resolve, JOIN_POLL_MS));
    }
    const { slot } = await this.site.request('claimSlot', null);
    this.state.saveConfig({ ...this.config(), slot });
    // The claim reaches the inviter before anything is made under it.
    await this.syncer.waitSettled(JOIN_STALL_MS);
  }
}

/** See DaemonModule. */
export async function createVolume(state: SiteState, log: Log): Promise<void> {
  const site = new RunningSite(state, log);
  await site.start(false);
  await site.found();
  await site.stopUnmounted();
}

/** See DaemonModule. */
export async function joinVolume(
  invite: string,
  draft: Pick<SiteConfig, 'site' | 'siteId' | 'mountpoint' | 'listen' | 'driver' | 'mountOptions'>,
  makeState: (config: SiteConfig, key: Buffer) => SiteState,
  progress: (progress: Progress) => void,
  log: Log,
): Promise<SiteState> {
  const grant = await redeemInvite(invite, draft.site);
  const inviter = grant.peers[0];
  if (!inviter) throw new Error('the inviting site named no address: ask for a new invite');
  const config: SiteConfig = {
    ...draft,
    volumeId: grant.volumeId,
    volume: grant.volumeName,
    peers: [inviter.address],
    slot: null,
  };
  const state = makeState(config, Buffer.from(grant.volumeKey));
  const site = new RunningSite(state, log);
  await site.start(false);
  try {
    await site.catchUp(progress);
  } finally {
    await site.stopUnmounted();
  }
  return state;
}

/** See DaemonModule. */
export async function startDaemon(state: SiteState, log: Log): Promise<Daemon> {
  if (state.config().slot === null) {
    throw new Error(`${state.directory}: its join was never finished; remove it and join again with a new invite`);
  }
  healState(statePath(state.directory), (what) => log.error({ what }, 'what was stored is damaged'));
  const lost = lostCommits(state.directory);
  if (lost > 0)
    log.error({ commits: lost }, 'the state lacks commits that it had: it was damaged, or files of it were put back');
  if (lost > 0 || isCopy(state.directory)) await adoptCopy(state, log);
  recordOrigin(state.directory);
  const site = new RunningSite(state, log);
  await site.start(true);
  return site;
}

/**
 * The state was put back from a backup: inode numbers that it would give out next may be those of files that other sites got
 * meanwhile, and that this one gets back from them.
 */
async function adoptCopy(state: SiteState, log: Log): Promise<void> {
  const site = new RunningSite(state, log);
  await site.start(false);
  try {
    await site.claimFurtherSlot();
  } finally {
    await site.stopUnmounted();
  }
  log.warn(
    { slot: state.config().slot },
    'this state directory is a copy, or went back: new files get numbers of a new range',
  );
}

// running-site.ts — one running site: the site thread, the links, the workers, wired together. Read this file to see who talks to whom.
//
//   site thread ──committed──▶ DurableCommits ──advanced──▶ Syncer ──changes, objects──▶ peers
//               ◀──changes, objects── SiteSyncStore ◀──────────────── Syncer
//               ──ingest──▶ IngestPool ──ingested──▶ site thread          checkpoint thread: SQLite's log
//
// Invariant: nothing is sent or acknowledged before it is durable. The main thread never touches the mount: the site thread might
// be waiting for it.

import { randomBytes } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { AbsentObjects } from '../chunks/absent-objects.js';
import { fsyncPaths } from '../chunks/fsync-paths.js';
import { IngestPool } from '../chunks/ingest.js';
import { ReceivedObjects } from '../chunks/received-objects.js';
import { hasFailedSync, markFailedSync } from '../failed-sync-mark.js';
import { unmountKernel } from '../fuse/mount.js';
import { type CheckpointThread, startCheckpointThread } from '../journal/checkpoint-thread.js';
import { WalSync } from '../journal/wal-sync.js';
import { intentPath, SEGMENT_BYTES } from '../journal/intent-log.js';
import { supplySegment } from '../journal/segment-supply.js';
import { statePath } from '../journal/schema.js';
import type { ActorId, SiteId } from '../crdt/ids.js';
import type { Member } from '../crdt/members.js';
import type { RoleKind } from '../crdt/volume-fields.js';
import type { Holding } from '../sync/member-vectors.js';
import type { KnownPeer } from '../sync/peer.js';
import { Syncer } from '../sync/syncer.js';
import { lackingCount, raise } from '../sync/version-vector.js';
import { systemClock, systemRandom } from '../sync/system-clock.js';
import type {
  BackupTaken,
  CollectionReport,
  ConflictRow,
  Daemon,
  DamagedData,
  Log,
  MergedFile,
  PeerRow,
  SettledRow,
  SiteConfig,
  SiteState,
  SiteStatus,
  Unshared,
  Transfer,
} from './daemon-interface.js';
import { Bandwidth } from './bandwidth.js';
import { runInThread } from './collection-client.js';
import { Collector } from './collector.js';
import { DurableCommits } from './durable-commits.js';
import { HOLDINGS_FILE } from './holdings-file.js';
import { InviteFile } from './invite-file.js';
import { heldBy, type JournalReport, journalReport } from './journal-report.js';
import { DEFAULT_AWAY_MS, JournalKeeper } from './journal-keeper.js';
import { OtherSites } from './other-sites.js';
import { KeptPeers } from './kept-peers.js';
import { KNOWN_PEERS_FILE } from './known-peers-file.js';
import { type Measured, MetricsServer } from './metrics.js';
import { Past } from './past.js';
import { peerRows } from './peer-rows.js';
import { repair } from './repair.js';
import { backUp } from './backing-up.js';
import { checkTarget } from './site-backup.js';
import { Settlements } from './settlements.js';
import { SiteClient } from './site-client.js';
import { SiteContent } from './site-content.js';
import { SiteEnded } from './site-ended.js';
import { SiteMembership } from './site-membership.js';
import { siteKey } from './site-key-file.js';
import { SiteSyncStore } from './site-sync-store.js';
import { SiteVectorsFile } from './site-vectors-file.js';
import { SyncPacing } from './sync-pacing.js';
import { waitInSync } from './sync-wait.js';
import { siteStatus, transferOf } from './site-status.js';
import { StateMark } from './state-mark.js';
import { recordOrigin } from './state-origin.js';
import type { FromSite } from './thread-protocol.js';
import { TreeSurvey } from './tree-survey.js';
import { VolumeMembers } from './volume-members.js';

/** How often it is looked what of the journal may go. */
const JOURNAL_CHECK_MS = 2_000;
/** An orderly end waits so long for linked sites to have everything. */
const SHARE_WITHIN_MS = 1000;
/** Who uses a mount that is detached has so long to finish. */
const USERS_GRACE_MS = 5_000;

/** See {@link Daemon} for what people ask of it. */
export class RunningSite implements Daemon {
  readonly ended: Promise<void>;
  readonly past: Past;
  readonly content: SiteContent;
  readonly bandwidth: Bandwidth;
  private site!: SiteClient; // set by start(), before anything but a first commit uses it
  private store!: SiteSyncStore;
  private syncer!: Syncer;
  private peers!: KeptPeers;
  private received!: ReceivedObjects;
  private collector: Collector | null = null;
  private metrics: MetricsServer | null = null;
  private keeper: JournalKeeper | null = null;
  private keeping: NodeJS.Timeout | null = null;
  private checkpoints: CheckpointThread | null = null;
  private readonly durable: DurableCommits;
  private readonly walSync: WalSync;
  private readonly pacing = new SyncPacing();
  private readonly ingest: IngestPool;
  private readonly knownPeers: SiteVectorsFile<KnownPeer>;
  private readonly holdings: SiteVectorsFile<Holding>;
  private readonly survey: TreeSurvey;
  private readonly settlements: Settlements;
  private readonly mark: StateMark;
  private readonly members: VolumeMembers;
  readonly membership: SiteMembership;
  private closing: Promise<Unshared | null> | null = null;
  private listen = '';
  private seeking = false;
  /** Written files that were no versions at the end. */
  private unfinished = 0;
  /** Local files of what was written here and could not become a version. */
  private readonly unpacked = new Set<string>();
  /** Changes that are taken nowhere, by who sent them. */
  private readonly quarantinedFrom = new Map<SiteId, number>();
  private finish!: () => void;
  private fail!: (error: Error) => void;

  constructor(
    private readonly state: SiteState,
    private readonly log: Log,
    /** While it joins: the site that invited it. */
    inviter: Member | null = null,
  ) {
    const { directory } = state;
    this.mark = new StateMark(directory);
    this.walSync = new WalSync(directory);
    this.durable = new DurableCommits(
      async (unsynced) => {
        this.pacing.began(performance.now());
        await fsyncPaths(unsynced);
        await this.walSync.runAside();
        this.pacing.ended(performance.now());
      },
      (commit) => this.advanced(commit),
      (error) => this.diskFailed(error),
      () => this.pacing.mayWaitMs(performance.now(), this.linked),
    );
    this.ingest = new IngestPool(statePath(directory), join(directory, 'packs'));
    this.knownPeers = new SiteVectorsFile(directory, KNOWN_PEERS_FILE, log);
    this.survey = new TreeSurvey(directory, () => this.content.policy === 'on-demand');
    this.holdings = new SiteVectorsFile(directory, HOLDINGS_FILE, log);
    this.past = new Past(directory, () => this.site, {
      get: () => this.config().keepHistoryMs,
      set: (ageMs) => {
        const { keepHistoryMs: _, ...config } = this.config();
        this.state.saveConfig(ageMs === undefined ? config : { ...config, keepHistoryMs: ageMs });
      },
    });
    this.bandwidth = new Bandwidth(state, systemClock.wallMs, () => this.syncer.limitsChanged());
    this.content = new SiteContent({
      state,
      clock: systemClock,
      log,
      site: () => this.site,
      changed: () => this.seekSoon(),
      reconnect: () => this.syncer.reconnect(),
      collector: () => this.collector!,
      peers: () => this.syncer?.peers() ?? [],
      holds: (id) => this.store.holds(id),
      isWanted: (id) => this.store.isWanted(id),
      giveUp: (ids) => this.site.send({ type: 'unavailable', ids }),
    });
    this.members = new VolumeMembers(() => this.site, this.durable, inviter);
    this.membership = new SiteMembership(state, this.durable, this.members, () => ({
      site: this.site,
      store: this.store,
      syncer: this.syncer,
    }));
    this.settlements = new Settlements(directory, this.ingest, this.survey, systemClock.wallMs, () => ({
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

  /** Recovers, mounts if asked to, listens and dials. `afterPowerLoss`: see VolumeOptions. */
  async start(mount: boolean, afterPowerLoss = false): Promise<void> {
    const { directory } = this.state;
    supplySegment(intentPath(directory), SEGMENT_BYTES); // there at once from the second start on
    this.site = await SiteClient.start(
      {
        stateDirectory: directory,
        config: this.config(),
        mount,
        actorId: randomBytes(16).toString('hex'),
        afterPowerLoss,
      },
      {
        committed: (message) => this.committed(message),
        ingest: ({ job }, site) => void this.runIngest(job, site),
        asked: ({ ids }, site) => void this.answerPast(ids, site),
        needed: ({ ids, file }) => this.content.needed(ids, file),
        ahead: ({ ids }) => this.content.ahead(ids),
        unused: ({ files }) => void this.removeFiles(files),
        slot: ({ slot }) => this.state.saveConfig({ ...this.config(), slot }),
        quarantined: ({ from }) => this.quarantinedFrom.set(from, (this.quarantinedFrom.get(from) ?? 0) + 1),
      },
      this.log,
    );
    void this.site.ended.then((reason) => this.siteEnded(reason));
    try {
      // What power loss took was dealt with, and a crash from now on is none.
      if (mount) recordOrigin(directory);
      this.checkpoints = startCheckpointThread(directory, (error) => this.diskFailed(error));
      await this.site.request('report', null);
      await this.durable.reached(this.durable.lastReported);
      this.received = new ReceivedObjects(join(directory, 'packs'));
      this.store = new SiteSyncStore(
        this.site,
        this.durable,
        this.received,
        () => this.config(),
        directory,
        this.content,
      );
      const config = this.config();
      const key = await siteKey(directory);
      this.syncer = new Syncer({
        store: this.store,
        clock: systemClock,
        random: systemRandom,
        log: this.log,
        invites: new InviteFile(directory, systemClock.wallMs),
        key,
        members: this.members,
        volumeName: config.volume,
        listen: config.listen,
        dial: config.peers,
        known: this.knownPeers.load(),
        limits: () => this.bandwidth.now(),
        holdings: this.holdings.load(),
      });
      this.syncer.on('changed', () => {
        this.durable.reconsider();
        this.peers.keepSoon();
      });
      this.peers = new KeptPeers(this.syncer, this.knownPeers, this.holdings, this.state, this.log);
      // Links tell it what came, and what nobody has.
      this.collector = this.makeCollector();
      this.listen = await this.syncer.start();
      // A site that has inode numbers is one of the volume: what it says of itself comes after what made it one.
      if (config.slot !== null) await this.membership.announce();
      const { metrics = 'off' } = this.config();
      if (metrics !== 'off') {
        this.metrics = await MetricsServer.listen(metrics, () => this.measure());
        this.log.info({ address: this.metrics.address }, 'metrics are served');
      }
      this.keeper = this.makeKeeper();
      this.keeping = setInterval(() => void this.checkJournal(), JOURNAL_CHECK_MS).unref();
      this.content.start().catch((error: Error) => this.log.warn({ err: error }, 'not all content is asked for yet'));
    } catch (error) {
      await this.abandon(mount);
      throw error;
    }
    if (this.listen !== this.config().listen) this.state.saveConfig({ ...this.config(), listen: this.listen });
  }

  private makeCollector(): Collector {
    return new Collector({
      stateDirectory: this.state.directory,
      clock: systemClock,
      site: this.site,
      durable: (commit) => this.durable.reached(commit),
      packUsers: {
        seal: async () => {
          await this.ingest.seal();
          await this.store.seal(); // what workers packed may be on its way to it
        },
        forget: (packs) => {
          this.store.forgetPacks(packs);
          this.ingest.forgetPacks(packs);
        },
      },
      vector: () => this.durable.vector,
      others: new OtherSites({
        siteId: this.config().siteId,
        vector: () => this.durable.vector,
        met: () => this.syncer.peersMet(),
        members: () => this.members.all(),
        holdings: () => this.syncer.holdings(),
      }),
      keepHistoryMs: () => this.config().keepHistoryMs ?? null,
      keepers: {
        has: (vector) => this.syncer.hasKeeper(vector),
        kept: (ids, vector) => this.syncer.keptElsewhere(ids, vector),
      },
      keepsAll: () => this.content.policy === 'everything',
      run: runInThread,
      log: this.log,
    });
  }

  private makeKeeper(): JournalKeeper {
    return new JournalKeeper({
      siteId: this.config().siteId,
      site: this.site,
      vector: () => this.durable.vector,
      members: () => this.members.all(),
      holdings: () => this.syncer.holdings(),
      keepHistoryMs: () => this.config().keepHistoryMs ?? null,
      awayMs: () => this.config().awayMs ?? DEFAULT_AWAY_MS,
      nowMs: () => systemClock.wallMs(),
      isServing: () => this.store.takeServedBase(),
    });
  }

  private async checkJournal(): Promise<void> {
    try {
      await this.keeper!.check();
    } catch (error) {
      this.log.debug({ err: error }, 'the journal stays as it is');
    }
  }

  private async abandon(mounted: boolean): Promise<void> {
    if (mounted) await unmountKernel(this.config().mountpoint, true);
    else await this.site.request('stop', null);
    await this.site.ended;
    // Whoever made the state directory removes it next: nothing may write there any more.
    await this.closeLinks();
  }

  // ── from the site thread ────────────────────────────────────────────────────────────────────────────────────────────────────

  private committed(message: Extract<FromSite, { type: 'committed' }>): void {
    this.pacing.committed(performance.now(), message.pressing);
    if (message.members) {
      this.members.report(message.members);
      this.syncer?.membersChanged();
    }
    this.durable.committed(message);
    this.content.committed();
    if (message.pressing) this.durable.reconsider();
  }

  /** For one scrape. */
  private async measure(): Promise<Measured> {
    const { volume, site, siteId } = this.config();
    const { journalBytes, chunkBytes, missing, requests } = await this.site.request('status', null);
    return {
      volume,
      site,
      siteId,
      peers: this.syncer.peers(),
      journalBytes,
      contentBytes: chunkBytes,
      missingObjects: missing,
      commits: this.durable.lastReported,
      durableCommits: this.durable.lastDurable,
      requests,
      quarantined: this.quarantinedFrom,
    };
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

  /** What is needed is asked of the links once for all that happens before the event loop goes on. */
  private seekSoon(): void {
    if (this.seeking) return;
    this.seeking = true;
    setImmediate(() => {
      this.seeking = false;
      this.syncer?.advanced();
    });
  }

  private async runIngest(job: Extract<FromSite, { type: 'ingest' }>['job'], site: SiteClient): Promise<void> {
    try {
      const result = await this.ingest.run(job);
      this.unpacked.delete(job.path);
      site.send({ type: 'ingested', result });
    } catch (error) {
      const absent = error instanceof AbsentObjects ? error.ids : [];
      // Tried each second until it can: said once.
      if (!this.unpacked.has(job.path))
        this.log.warn({ err: error, path: job.path }, 'a written file could not be packed yet; it is tried again');
      this.unpacked.add(job.path);
      site.send({ type: 'ingestFailed', jobId: job.jobId, absent });
    }
  }

  private async removeFiles(files: readonly string[]): Promise<void> {
    for (const file of files) await rm(file, { force: true });
  }

  /** Somebody looks at the tree as it was. */
  private async answerPast(ids: readonly string[], site: SiteClient): Promise<void> {
    for (const id of ids) {
      try {
        site.send({ type: 'answered', id, answer: await this.past.look(id) });
      } catch (error) {
        this.log.error({ err: error, question: id }, 'a look at the past failed');
        site.send({ type: 'answered', id });
      }
    }
  }

  private diskFailed(error: Error): void {
    this.log.error({ err: error }, 'the disk that holds the state failed; nothing more is sent to other sites');
    markFailedSync(this.state.directory);
    this.fail(error);
  }

  private siteEnded(reason: string | null): void {
    // By whatever: it may have been a sync of SQLite's own.
    if (reason !== null) markFailedSync(this.state.directory);
    this.closeLinks().then(
      () => (reason === null ? this.finish() : this.fail(new Error(reason))),
      (error: Error) => this.fail(reason === null ? error : new Error(reason, { cause: error })),
    );
  }

  // ── Daemon ──────────────────────────────────────────────────────────────────────────────────────────────────────────────────

  async status(): Promise<SiteStatus> {
    const { commit } = await this.site.request('fold', null);
    const survey = await this.survey.at(commit);
    const stored = await this.site.request('status', null);
    const held = heldBy(stored, this.keeper!.standing());
    return siteStatus(this.config(), this.listen, survey, stored, this.syncer.peers(), held);
  }

  async transfer(): Promise<Transfer> {
    return transferOf(await this.site.request('status', null), this.syncer.peers());
  }

  syncWait(timeoutMs: number): Promise<boolean> {
    return waitInSync(this.syncer, this.store, timeoutMs);
  }

  async pause(peer: string | null): Promise<void> {
    this.peers.pause(peer);
  }

  async resume(peer: string | null): Promise<void> {
    this.peers.resume(peer);
  }

  addPeer(peer: string): Promise<void> {
    return this.peers.add(peer);
  }

  async removePeer(peer: string): Promise<void> {
    this.peers.remove(peer);
  }

  async invite(ttlMs: number): Promise<string> {
    return this.syncer.invite(ttlMs);
  }

  renameSite(name: string): Promise<void> {
    return this.membership.rename(name);
  }

  rotateKey(): Promise<string> {
    return this.membership.rotateKey();
  }

  async backup(target: string): Promise<BackupTaken> {
    const { directory } = this.state;
    checkTarget(target, { directory, mountpoint: this.config().mountpoint });
    // Whatever was written becomes versions, and those are what is copied.
    const unfinishedFiles = await this.store.flushWritten();
    const time = new Date(systemClock.wallMs()).toISOString();
    const report = await this.collector!.apart(() => backUp(directory, target, time));
    return { ...report, unfinishedFiles };
  }

  async peersKnown(): Promise<PeerRow[]> {
    return peerRows(this.config().siteId, this.members.all(), this.syncer.peers(), this.quarantinedFrom);
  }

  setRole(site: string, kind: RoleKind): Promise<void> {
    return this.membership.setRole(site, kind);
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

  async journal(awayMs: number | null): Promise<JournalReport> {
    if (awayMs !== null) this.state.saveConfig({ ...this.config(), awayMs });
    const stored = await this.site.request('status', null);
    return journalReport(stored, this.keeper!.standing(), this.config().awayMs ?? DEFAULT_AWAY_MS);
  }

  async keepHistory(durationMs: number): Promise<void> {
    this.state.saveConfig({ ...this.config(), keepHistoryMs: durationMs });
  }

  repair(damaged: DamagedData): Promise<DamagedData> {
    return repair(damaged, this.site, this.syncer, this.store, () => this.durable.vector);
  }

  async stop(force: boolean): Promise<Unshared | null> {
    await this.shareLast().catch((error: unknown) => {
      if (!(error instanceof SiteEnded)) throw error; // somebody else unmounts it meanwhile
    });
    // Refused while somebody uses the mount: everything goes on then.
    await unmountKernel(this.config().mountpoint, force);
    const grace = setTimeout(() => void this.endSession(), USERS_GRACE_MS);
    await this.site.ended;
    clearTimeout(grace);
    const unshared = await this.closeLinks();
    if (unshared)
      this.log.warn(unshared, 'what is here and at no other site yet: it goes there from the next start on');
    return unshared;
  }

  /** Everything becomes durable, and what links let through in a moment goes to other sites. */
  private async shareLast(): Promise<void> {
    this.unfinished = await this.store.flushWritten();
    if (this.linked) await this.syncer.waitSettled(SHARE_WITHIN_MS);
  }

  /** What is durable here and no other site acknowledged, and the content that no other one keeps. */
  private unshared(): Unshared | null {
    const others = this.syncer.peersMet();
    if (others.length === 0) return null;
    const known = new Map<ActorId, number>();
    for (const { vector } of others) raise(known, vector);
    const changes = lackingCount(known, this.durable.vector);
    const bytes = this.store.bytesAfter(known) + this.store.unsharedContentBytes();
    const files = this.unfinished;
    return changes === 0 && bytes === 0 && files === 0 ? null : { changes, bytes, files };
  }

  /** The fuse-native driver serves no mount that is not in the tree: there it has ended by itself. */
  private async endSession(): Promise<void> {
    const { mountpoint } = this.config();
    this.log.warn({ mountpoint }, 'the mount was detached and is still in use: its users get errors now');
    // Refused when the last user went meanwhile: then it ends by itself.
    await this.site.request('endSession', null).catch(() => {});
  }

  /** Ends a site that is not mounted. */
  async stopUnmounted(): Promise<void> {
    await this.closeLinks();
    await this.site.request('stop', null);
    await this.site.ended;
  }

  /** Called by who asks for the unmount, and when the site has ended, whichever is first. Gives what is at no other site yet. */
  private closeLinks(): Promise<Unshared | null> {
    return (this.closing ??= this.closeAll());
  }

  private async closeAll(): Promise<Unshared | null> {
    if (this.keeping) clearInterval(this.keeping);
    await this.metrics?.close();
    await this.content.close();
    await this.collector?.close();
    this.peers?.keepIfRoom();
    await this.syncer?.stop();
    await this.ingest.close();
    await this.past.close();
    await this.durable.settled(); // it syncs the log that is about to go
    try {
      return this.syncer ? this.unshared() : null; // of all that is durable, from a database that may be damaged
    } finally {
      this.walSync.close();
      await this.store?.close();
      // The last to close the database, and one that may write: SQLite then copies its log into it, and removes the log.
      if (hasFailedSync(this.state.directory)) this.checkpoints?.abandon();
      else await this.checkpoints?.stop();
      this.mark.close();
    }
  }
}

// life.ts — one process of a simulated site, from a start to its end: the product's site thread, durability, store and exchange of links,
// wired as lib/daemon/running-site.ts wires them.
// Invariant: after kill() nothing of it has any effect outside of its state directory.

import { rmSync } from 'node:fs';
import { join } from 'node:path';
import type { IngestFailure, IngestJob, IngestResult, IngestWorkerData } from '../chunks/ingest.js';
import { failure, Ingester } from '../chunks/ingester.js';
import { verifyObject } from '../chunks/object-kind.js';
import { PackWriter } from '../chunks/pack.js';
import type { ActorId } from '../crdt/ids.js';
import { PosixError } from '../errno.js';
import { markFailedSync } from '../failed-sync-mark.js';
import type { Collector } from '../daemon/collector.js';
import type { SiteConfig } from '../daemon/daemon-interface.js';
import { DurableCommits } from '../daemon/durable-commits.js';
import { SiteServer } from '../daemon/site-server.js';
import { JournalKeeper } from '../daemon/journal-keeper.js';
import type { SiteContent } from '../daemon/site-content.js';
import { type ObjectIntake, SiteSyncStore } from '../daemon/site-sync-store.js';
import type { FromSite } from '../daemon/thread-protocol.js';
import { statePath, walPath, type Statement } from '../journal/schema.js';
import type { SyncLog } from '../sync/ports.js';
import { SiteExchange } from '../sync/site-exchange.js';
import { KernelCacheModel } from './kernel-cache.js';
import { KernelFiles } from './kernel-files.js';
import type { Node } from './network.js';
import type { Random } from './random.js';
import { SimulatedContent } from './simulated-content.js';
import { type Notice, SimulatedThread } from './simulated-thread.js';
import type { Site } from './site.js';

/** Links tick once a second. */
const TICK_MS = 1_000;
/** How often an ingest worker that is idle, on another processor, is done before whoever asked it goes on. */
const BESIDE_SHARE = 0.2;
/** The journal is cut off as soon as it may be: rare otherwise. */
const KEEP_HISTORY_MS = 0;
/** Most sites wait for one that is away; some have little patience, and it is sent the state when it is back. */
const AWAY_MS = [Infinity, Infinity, 10_000, 2_000];

export class Life implements Node {
  readonly instance: string;
  readonly actorId: ActorId;
  readonly server: SiteServer;
  readonly durable: DurableCommits;
  readonly exchange: SiteExchange;
  readonly cache: KernelCacheModel;
  /** What the site's programs have open. */
  readonly files: KernelFiles;
  store: SiteSyncStore | null = null;
  private readonly keeping: SimulatedContent;
  private readonly keeper: JournalKeeper;
  dead = false;
  private readonly thread: SimulatedThread;
  private readonly packs: PackWriter;
  private readonly ingestTimes: Random;
  /** Of the ingest worker. */
  private ingester: Ingester | undefined;
  private cancelWake: () => void = () => {};
  private wakeAtMs = Infinity;
  /** Where its journal begins. */
  private dropped: number;
  private generation: number;
  private packed = 0;
  private readonly countRemoved: Statement;

  constructor(
    readonly site: Site,
    private readonly random: Random,
    afterPowerLoss: boolean,
  ) {
    const { timeline, failed } = site.around;
    this.instance = random.hex(8);
    this.ingestTimes = random.fork('ingest times');
    this.packs = new PackWriter(join(site.directory, 'packs'), 'peer');
    this.thread = new SimulatedThread(
      timeline,
      random.fork('thread'),
      (message) => {
        this.guarded(() => this.server.take(message));
        this.wake(0);
      },
      (notice) => this.heard(notice),
    );
    this.durable = new DurableCommits(
      (unsynced) => this.makeDurable(unsynced),
      (commit) => {
        if (this.dead) return;
        this.thread.send({ type: 'durable', commit });
        this.exchange.advanced();
      },
      (error) => this.diskFailed(error),
    );
    this.actorId = random.hex(16);
    const { directory, config } = site;
    const data = { stateDirectory: directory, config, mount: true, actorId: this.actorId, afterPowerLoss };
    const machine = { clock: site.clock, pick: (n: number) => random.below(n) };
    try {
      const port = { next: () => this.thread.next(), postMessage: (message: FromSite) => this.posted(message) };
      this.server = new SiteServer(data, port, machine);
    } catch (error) {
      // What it said so far is heard by nobody.
      this.dead = true;
      this.thread.kill();
      throw error;
    }
    this.dropped = this.server.volume.journal.floor.lsn;
    this.generation = this.server.volume.journal.floor.generation;
    this.countRemoved = this.server.volume.journal.db.prepare('select count(*) from removed').pluck();
    this.cache = new KernelCacheModel(this.server.volume, () => site.crashPoint());
    if (site.hasPassthrough) this.server.volume.allowPassthrough();
    this.files = new KernelFiles(this.server.volume, site.around.totals);
    this.server.attach(this.cache, {
      drain: () => {},
      resume: () => {},
      fail: () => {},
      requestCounts: () => new Map(),
      cachesSettled: true,
    });
    this.keeping = new SimulatedContent(site, random.fork('content'), {
      thread: this.thread,
      durable: this.durable,
      exchange: () => this.exchange,
      store: () => this.store!,
      ingester: () => this.ingester,
      isDead: () => this.dead,
    });
    this.exchange = new SiteExchange(this.lateStore(), silentLog, {
      admit: (connection, hello) => {
        site.peers.meet(hello);
        return site.around.network.admit(this, connection, hello);
      },
      ready: (connection) => site.peers.linked(connection),
      isMember: () => true,
      closed: (connection, ending) => {
        site.peers.unlinked(connection, ending, timeline.nowMs);
        // What a disk failed to take is no fault of the peer's.
        const { totals } = site.around;
        const lacksRoom = totals.of('full disks') > 0 && ending.reason.includes(NO_ROOM_FOR_STATE);
        if (lacksRoom) totals.add('links ended for want of room');
        const isSound = !lacksRoom && DISK_FAULTS.every((fault) => totals.of(`disk faults: ${fault}`) === 0);
        if (isSound && (ending.code === 'rejected' || ending.code === 'protocol'))
          failed(new Error(`${site.name}: a link ended: ${ending.reason}`));
        site.around.network.closed(connection, ending);
      },
      changed: () => {},
    });
    const awayMs = random.fork('away').pick(AWAY_MS)!;
    this.keeper = new JournalKeeper({
      siteId: site.siteId,
      site: {
        request: (name, args) => {
          site.around.archive.take(site);
          return this.thread.request(name, args);
        },
      },
      vector: () => this.durable.vector,
      members: () => this.server.volume.membership.all(),
      holdings: () => this.exchange.members.all(),
      keepHistoryMs: () => KEEP_HISTORY_MS,
      awayMs: () => awayMs,
      nowMs: () => Math.floor(site.clock.nowUs() / 1000),
      isServing: () => this.store!.takeServedBase(),
    });
    if (site.hasPassthrough) this.writeBack(random.fork('write back'));
    this.wake(0);
    this.started().catch((error: Error) => {
      if (!this.dead) failed(error); // a disk that failed has ended it
    });
  }

  get index(): number {
    return this.site.index;
  }

  get siteId(): string {
    return this.site.siteId;
  }

  /** As RunningSite.start of lib/daemon/running-site.ts: links come when what was recovered is durable. */
  private async started(): Promise<void> {
    await this.thread.request('report', null);
    await this.durable.reached(this.durable.lastReported);
    this.site.around.network.start(this);
    this.tick();
    await this.content.start();
  }

  private lateStore(): SiteSyncStore {
    const { site, keeping } = this;
    const config = (): SiteConfig => site.config;
    this.store = new SiteSyncStore(this.thread, this.durable, this.intake(), config, site.directory, keeping.content);
    return this.store;
  }

  /** What it keeps, and what of it goes. */
  get content(): SiteContent {
    return this.keeping.content;
  }

  get collector(): Collector {
    return this.keeping.collector;
  }

  /** As lib/chunks/received-objects.ts, with a disk of simulated speed. */
  private intake(): ObjectIntake {
    return {
      store: async (objects) => {
        for (const { id, bytes } of objects) verifyObject(id, bytes, 'a peer');
        const packed = objects.map(({ id, kind, bytes }) => this.packs.append(kind, id, bytes));
        await this.diskSync(this.packs.takeUnsynced());
        return packed;
      },
      seal: async () => this.packs.seal(),
      close: async () => this.packs.close(),
    };
  }

  /** As lib/daemon/running-site.ts: packs, then SQLite's log. */
  private async makeDurable(unsynced: readonly string[]): Promise<void> {
    if (unsynced.length > 0) await this.diskSync(unsynced);
    await this.diskSync([walPath(statePath(this.site.directory))]);
  }

  /** fsync(2), which takes its time and covers what was there when it began. Rejects when the disk fails. */
  private diskSync(paths: readonly string[]): Promise<void> {
    const { timeline, disk } = this.site;
    const delayMs = this.random.logUniform(0.1, this.random.chance(0.05) ? 1_000 : 20);
    const captured = disk.image?.capture(paths);
    return new Promise((resolve, reject) =>
      timeline.after(delayMs, () => {
        // After the moment that the crash goes back to nothing becomes durable, or is told to others.
        if (this.dead || this.site.image !== null) return;
        const code = disk.refuse('sync');
        if (code) {
          for (const path of paths) disk.giveUp(path);
          return reject(new Error(`fsync: ${code}`));
        }
        if (captured) disk.image!.completed(captured);
        resolve();
      }),
    );
  }

  /** The system writes local files back when it comes to it, their times too: so a time may be durable that is that of older bytes. */
  private writeBack(random: Random): void {
    const { timeline, disk } = this.site;
    timeline.after(random.logUniform(300, 20_000), () => {
      if (this.dead || this.site.image !== null) return;
      disk.image?.writtenBack('work');
      this.writeBack(random);
    });
  }

  /** After a failed sync, as after any failure that leaves the state in doubt, the daemon ends. */
  private diskFailed(error: Error): void {
    if (this.dead) return; // the next one has a disk that refused nothing yet
    markFailedSync(this.site.directory);
    if (this.site.disk.refusals === 0) this.site.around.failed(error);
    else this.site.die();
  }

  /** What the site's loop does: an exception ends the daemon, as lib/daemon/site-thread.ts has it. */
  private guarded<T>(act: () => T): T | undefined {
    try {
      return act();
    } catch (error) {
      if (this.site.disk.refusals === 0) throw error;
      this.site.die();
      return undefined;
    }
  }

  private tick(): void {
    if (this.dead) return;
    void this.keeper.check();
    this.exchange.tick(Math.floor(this.site.clock.nowUs() / 1000));
    this.site.around.timeline.after(TICK_MS, () => this.tick());
  }

  /** The site's loop runs again within so many milliseconds. */
  wake(withinMs: number): void {
    const { timeline } = this.site.around;
    const atMs = timeline.nowMs + withinMs;
    if (this.dead || atMs >= this.wakeAtMs) return;
    this.cancelWake();
    this.wakeAtMs = atMs;
    this.cancelWake = timeline.after(withinMs, () => this.work());
  }

  /** A slice of background work: of a few looks at the clock, so that changes of others are applied in small parts too. */
  private work(): void {
    this.wakeAtMs = Infinity;
    if (this.dead) return;
    this.cancelWake = () => {};
    const sliceMs = this.random.chance(0.5) ? 1 : 0.001 * this.random.logUniform(1, 100);
    const endMs = this.site.clock.monotonicMs() + sliceMs;
    const more = this.guarded(() => this.server.background(() => this.site.clock.monotonicMs() >= endMs));
    if (this.dead) return;
    const { lsn } = this.server.volume.journal.floor;
    if (lsn > this.dropped) this.site.around.totals.add('changes dropped from journals', lsn - this.dropped);
    this.dropped = lsn;
    const { generation } = this.server.volume.journal.floor;
    if (generation > this.generation) this.site.around.totals.add('states taken over');
    this.generation = generation;
    if (!more) this.countPacked();
    // As the loop does between two looks at the mount (lib/fuse/channel.ts).
    if (!more && this.site.hasPassthrough) while (this.random.chance(0.7) && this.server.volume.workMeanwhile());
    if (more) this.wake(this.random.next() * 0.2);
    else if (this.server.nextTimeoutMs >= 0) this.wake(this.server.nextTimeoutMs);
    this.site.afterWork();
  }

  private countPacked(): void {
    const packed = this.countRemoved.get() as number;
    if (packed > this.packed) this.site.around.totals.add('removed inodes packed', packed - this.packed);
    this.packed = packed;
  }

  /** What the site's thread says; mostly it is heard later. */
  private posted(message: FromSite): void {
    if (message.type === 'ingest' && this.ingestTimes.chance(BESIDE_SHARE)) this.ingest(message.job);
    else this.thread.postMessage(message);
  }

  private heard(notice: Notice): void {
    switch (notice.type) {
      case 'committed':
        this.durable.committed(notice);
        return this.content.committed();
      case 'ingest':
        this.site.around.timeline.after(this.random.logUniform(1, 300), () => this.ingest(notice.job));
        return;
      case 'slot':
        return;
      case 'quarantined':
        return this.site.around.failed(
          new Error(`${this.site.name} takes no change ${notice.change}: ${notice.reason}`),
        );
      case 'unused':
        for (const file of notice.files) rmSync(file, { force: true });
        return;
      case 'needed':
        return this.content.needed(notice.ids, notice.file);
      case 'ahead':
        return this.content.ahead(notice.ids);
    }
  }

  private ingest(job: IngestJob): void {
    if (this.dead) return;
    const { directory, around } = this.site;
    const answer = this.pack(job, { databasePath: statePath(directory), objectsDirectory: join(directory, 'packs') });
    const tell = (): void => {
      if (!('failed' in answer)) return this.thread.send({ type: 'ingested', result: answer });
      this.thread.send({
        type: 'ingestFailed',
        jobId: job.jobId,
        absent: answer.failed === 'absent' ? answer.ids : [],
      });
    };
    // Programs may write to what was read already.
    if (this.site.hasPassthrough) around.timeline.after(this.ingestTimes.logUniform(1, 300), tell);
    else tell();
  }

  private pack(job: IngestJob, data: IngestWorkerData): IngestResult | IngestFailure {
    try {
      // What the site was given is seen here at once, or not before this returns.
      this.ingester ??= new Ingester(data, () => {});
    } catch (error) {
      return failure(job, error);
    }
    return this.ingester.run([job])[0]!;
  }

  /** Everything that was told to callers becomes a version and is made durable. */
  flush(): Promise<void> {
    return this.store!.flush();
  }

  /** SIGKILL: nothing of this process has any effect outside of its directory any more. */
  kill(): void {
    this.dead = true;
    this.cancelWake();
    this.files.close();
    this.thread.kill();
    this.site.around.network.kill(this);
  }

  /** Gives back what a dead process would not hold: descriptors and memory. Once nothing of it is under way any more. */
  dispose(): void {
    const { volume } = this.server;
    // The writer first: the last connection to be closed copies SQLite's log to the database, unless it may only read.
    volume.journal.abandon();
    void this.store?.close();
    this.ingester?.close();
    this.keeping.dispose();
    this.closeObjects();
    volume['contents'].close();
    volume['drafts'].close();
    volume['log'].close();
  }

  /** What it had not written yet goes nowhere: its disk may be full. */
  private closeObjects(): void {
    try {
      this.server.volume.objects.close();
    } catch (error) {
      if (!(error instanceof PosixError)) throw error;
    }
  }
}

/** As totals count them: what may make a site end a link that is sound. */
const DISK_FAULTS = ['EIO', 'ENOSPC', 'EDQUOT'];
/** Of what a refused part says (volume/base-transfer.ts). */
const NO_ROOM_FOR_STATE = 'has no room for the state of the volume';
const silentLog: SyncLog = { debug: () => {}, info: () => {}, warn: () => {} };

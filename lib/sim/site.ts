// site.ts — one simulated site: the product's site thread, durability, store and exchange of links over simulated time and network.
// Invariant: what a crash leaves is what was on disk at that moment, which may be in the middle of an operation; everything else of
// the old process is gone. There is no kernel: callers use the volume, and kernel-cache.ts stands for what a kernel remembers.

import { readdirSync, rmSync, statSync } from 'node:fs';
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { AbsentObjects } from '../chunks/absent-objects.js';
import type { IngestJob } from '../chunks/ingest.js';
import { verifyObject } from '../chunks/object-kind.js';
import { ObjectReader } from '../chunks/object-reader.js';
import { PackWriter } from '../chunks/pack.js';
import { digestOf } from '../crdt/digest.js';
import type { SiteConfig } from '../daemon/daemon-interface.js';
import { DurableCommits } from '../daemon/durable-commits.js';
import { type ObjectIntake, SiteSyncStore } from '../daemon/site-sync-store.js';
import { SiteServer } from '../daemon/site-server.js';
import { statePath } from '../journal/schema.js';
import { SiteExchange } from '../sync/site-exchange.js';
import type { SyncLog } from '../sync/ports.js';
import type { Volume } from '../volume/volume.js';
import { KernelCacheModel } from './kernel-cache.js';
import { Network, type Node } from './network.js';
import type { Random } from './random.js';
import { ingest } from './simulated-ingest.js';
import { type Notice, SimulatedThread } from './simulated-thread.js';
import { SiteClock } from './site-clock.js';
import { copyState } from './state-copy.js';
import type { Timeline } from './timeline.js';

/** Links tick once a second. */
const TICK_MS = 1_000;

/** What a site is from start to start. */
export interface SiteIdentity {
  readonly index: number;
  readonly name: string;
  readonly siteId: string;
  readonly slot: number | null;
}

/** What the sites of a simulation share. */
export interface Surroundings {
  readonly timeline: Timeline;
  readonly network: Network;
  /** A fresh directory for a site's state. */
  readonly newDirectory: () => string;
  /** A promise of the product was rejected where nobody looks, or damage was found where there cannot be any. */
  readonly failed: (error: Error) => void;
}

/** One process: from a start to its end. */
class Life implements Node {
  readonly instance: string;
  readonly server: SiteServer;
  readonly durable: DurableCommits;
  readonly exchange: SiteExchange;
  readonly cache: KernelCacheModel;
  store: SiteSyncStore | null = null;
  dead = false;
  private readonly thread: SimulatedThread;
  private readonly packs: PackWriter;
  /** Of the ingest worker. */
  private ingestReads: ObjectReader | undefined;
  private cancelWake: () => void = () => {};
  private wakeAtMs = Infinity;

  constructor(
    readonly site: Site,
    private readonly random: Random,
  ) {
    const { timeline, failed } = site.around;
    this.instance = random.hex(8);
    this.packs = new PackWriter(join(site.directory, 'packs'), 'peer');
    this.thread = new SimulatedThread(
      timeline,
      random.fork('thread'),
      (message) => {
        this.server.take(message);
        this.wake(0);
      },
      (notice) => this.heard(notice),
    );
    this.durable = new DurableCommits(
      () => this.diskSync(),
      (commit) => {
        if (this.dead) return;
        this.thread.send({ type: 'durable', commit });
        this.exchange.advanced();
      },
      failed,
    );
    const data = { stateDirectory: site.directory, config: site.config, mount: true, actorId: random.hex(16) };
    this.server = new SiteServer(data, this.thread, { clock: site.clock, pick: (n) => random.below(n) });
    this.cache = new KernelCacheModel(this.server.volume, () => site.crashPoint());
    this.server.attach(this.cache, {
      drain: () => {},
      resume: () => {},
      fail: () => {},
      requestCounts: () => new Map(),
      cachesSettled: true,
    });
    this.exchange = new SiteExchange(this.lateStore(), silentLog, {
      admit: (connection, hello) => site.around.network.admit(this, connection, hello),
      ready: () => {},
      closed: (connection, ending) => {
        if (ending.code === 'rejected' || ending.code === 'protocol' || ending.code === 'slot')
          failed(new Error(`${site.name}: a link ended: ${ending.reason}`));
        site.around.network.closed(connection, ending);
      },
      changed: () => {},
    });
    this.wake(0);
    this.started().catch((error: Error) => failed(error));
  }

  get index(): number {
    return this.site.index;
  }

  get siteId(): string {
    return this.site.siteId;
  }

  /** As RunningSite.start of lib/daemon/daemon.ts: links come when what was recovered is durable. */
  private async started(): Promise<void> {
    await this.thread.request('report', null);
    await this.durable.reached(this.durable.lastReported);
    this.site.around.network.start(this);
    this.tick();
  }

  private lateStore(): SiteSyncStore {
    const { site } = this;
    this.store = new SiteSyncStore(this.thread, this.durable, this.intake(), () => site.config, site.directory);
    return this.store;
  }

  /** As lib/chunks/received-objects.ts, with a disk of simulated speed. */
  private intake(): ObjectIntake {
    return {
      store: async (objects) => {
        for (const { id, bytes } of objects) verifyObject(id, bytes, 'a peer');
        const packed = objects.map(({ id, kind, bytes }) => this.packs.append(kind, id, bytes));
        await this.diskSync();
        return packed;
      },
      close: () => this.packs.close(),
    };
  }

  private diskSync(): Promise<void> {
    const { timeline } = this.site.around;
    const delayMs = this.random.logUniform(0.1, this.random.chance(0.05) ? 1_000 : 20);
    return new Promise((resolve) => timeline.after(delayMs, () => (this.dead ? undefined : resolve())));
  }

  private tick(): void {
    if (this.dead) return;
    this.exchange.tick();
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
    const more = this.server.background(this.site.clock.monotonicMs() + sliceMs);
    if (more) this.wake(this.random.next() * 0.2);
    else if (this.server.nextTimeoutMs >= 0) this.wake(this.server.nextTimeoutMs);
    this.site.afterWork();
  }

  private heard(notice: Notice): void {
    switch (notice.type) {
      case 'committed':
        return this.durable.committed(notice);
      case 'ingest':
        this.site.around.timeline.after(this.random.logUniform(1, 300), () => this.ingest(notice.job));
        return;
      case 'unused':
        for (const file of notice.files) rmSync(file, { force: true });
        return;
      case 'needed':
    }
  }

  private ingest(job: IngestJob): void {
    if (this.dead) return;
    const { directory } = this.site;
    try {
      this.ingestReads ??= new ObjectReader(statePath(directory), join(directory, 'packs'));
      const result = ingest(job, this.ingestReads, join(directory, 'packs'));
      this.thread.send({ type: 'ingested', result });
    } catch (error) {
      // The file may have been given up, and removed, while the job waited.
      const absent = error instanceof AbsentObjects ? error.ids : [];
      this.thread.send({ type: 'ingestFailed', jobId: job.jobId, absent });
    }
  }

  /** Everything that was told to callers becomes a version and is made durable. */
  flush(): Promise<void> {
    return this.store!.flush();
  }

  /** SIGKILL: nothing of this process has any effect outside of its directory any more. */
  kill(): void {
    this.dead = true;
    this.cancelWake();
    this.thread.kill();
    this.site.around.network.kill(this);
  }

  /** Gives back what a dead process would not hold: descriptors and memory. Once nothing of it is under way any more. */
  dispose(): void {
    const { volume } = this.server;
    // The writer first: the last connection to be closed copies SQLite's log to the database, unless it may only read.
    volume.journal.db.close();
    this.store?.close();
    this.ingestReads?.close();
    volume.objects.close();
    volume['contents'].close();
    volume['drafts'].close();
    volume['log'].close();
  }
}

const silentLog: SyncLog = { debug: () => {}, info: () => {}, warn: () => {} };

export class Site {
  readonly clock: SiteClock;
  life: Life | null = null;
  /** Times it was killed. */
  kills = 0;
  /** What a crash in the middle of something left; the crash itself follows when that returns. */
  image: string | null = null;
  private untilImage = 0;

  constructor(
    private readonly identity: SiteIdentity,
    public directory: string,
    readonly around: Surroundings,
    private readonly random: Random,
    clock: { readonly skewMs: number; readonly rate: number },
    /** Told when a process was killed in the middle of something. */
    private readonly crashed: () => void,
  ) {
    this.clock = new SiteClock(around.timeline, clock.skewMs, clock.rate, () => this.crashPoint());
  }

  get name(): string {
    return this.identity.name;
  }

  get index(): number {
    return this.identity.index;
  }

  get siteId(): string {
    return this.identity.siteId;
  }

  get config(): SiteConfig {
    const { name: site, siteId, slot } = this.identity;
    return {
      volumeId: 'simulated',
      volume: 'simulated',
      siteId,
      site,
      mountpoint: '/nowhere',
      listen: '',
      driver: 'kernel',
      mountOptions: [],
      peers: [],
      slot,
    };
  }

  /** Of the process that runs. */
  get volume(): Volume {
    return this.life!.server.volume;
  }

  start(): void {
    this.life = new Life(this, this.random.fork(`life ${this.kills}`));
    this.afterWork();
  }

  /** The site's loop gets its turn after a call. */
  wake(): void {
    this.life?.wake(this.random.next() * 0.3);
    this.afterWork();
  }

  get digest(): string {
    return digestOf(this.volume.journal.store, (bytes) => createHash('sha256').update(bytes).digest());
  }

  // ── crashes ─────────────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** SIGKILL, with the disk as it stands; or as it was in the middle of what just happened. */
  kill(): void {
    const life = this.life;
    if (!life) return;
    const image = this.image ?? this.copyState();
    this.image = null;
    this.untilImage = 0;
    this.life = null;
    this.kills++;
    life.kill();
    const { directory } = this;
    setImmediate(() => {
      life.dispose();
      rmSync(directory, { recursive: true, force: true });
    });
    this.directory = image;
  }

  /** The simulation is over. */
  abandon(): void {
    const { life } = this;
    this.life = null;
    life?.kill();
    setImmediate(() => life?.dispose());
  }

  /** The process is killed at the n-th moment from now at which something of it could be seen from outside. */
  killLater(moments: number): void {
    this.untilImage = moments;
  }

  /** A moment within an operation. */
  crashPoint(): void {
    if (this.untilImage === 0 || --this.untilImage > 0) return;
    this.image = this.copyState();
  }

  /** Nothing of the process is under way: the crash that was to be in the middle of it comes now. */
  afterWork(): void {
    if (this.image === null) return;
    this.kill();
    this.crashed();
  }

  private copyState(): string {
    const copy = this.around.newDirectory();
    copyState(this.directory, copy);
    return copy;
  }

  /** Bytes on disk. */
  get diskBytes(): number {
    const files = readdirSync(this.directory, { recursive: true, withFileTypes: true });
    return files.reduce((sum, file) => sum + (file.isFile() ? statSync(join(file.parentPath, file.name)).size : 0), 0);
  }
}

// site.ts — one simulated site: the product's site thread, durability, store and exchange of links over simulated time and network.
// Invariant: what a crash leaves is what was on disk at that moment, which may be in the middle of an operation; everything else of
// the old process is gone. There is no kernel: callers use the volume, and kernel-cache.ts stands for what a kernel remembers.

import { closeSync, openSync, readdirSync, readSync, rmSync, statSync, writeSync } from 'node:fs';
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { AbsentObjects } from '../chunks/absent-objects.js';
import type { IngestJob } from '../chunks/ingest.js';
import { verifyObject } from '../chunks/object-kind.js';
import { ObjectReader } from '../chunks/object-reader.js';
import { RECORD_HEADER_BYTES } from '../chunks/pack-record.js';
import { PackWriter } from '../chunks/pack.js';
import { digestOf } from '../crdt/digest.js';
import { type ActorId, type ObjectId, VOLUME_INO } from '../crdt/ids.js';
import type { SiteConfig } from '../daemon/daemon-interface.js';
import { DurableCommits } from '../daemon/durable-commits.js';
import { type ObjectIntake, SiteSyncStore } from '../daemon/site-sync-store.js';
import { SiteServer } from '../daemon/site-server.js';
import { statePath, walPath } from '../journal/schema.js';
import { SiteExchange } from '../sync/site-exchange.js';
import type { SyncLog } from '../sync/ports.js';
import type { Volume } from '../volume/volume.js';
import { KernelCacheModel } from './kernel-cache.js';
import { Network, type Node } from './network.js';
import type { Random } from './random.js';
import type { DiskImage } from './disk-image.js';
import { ingest } from './simulated-ingest.js';
import { type Notice, SimulatedThread } from './simulated-thread.js';
import { SiteClock } from './site-clock.js';
import { SiteDisk } from './site-disk.js';
import type { Timeline } from './timeline.js';
import type { Totals } from './totals.js';

/** Links tick once a second. */
const TICK_MS = 1_000;

/** What a site is from start to start. */
export interface SiteIdentity {
  readonly index: number;
  readonly name: string;
  readonly siteId: string;
  readonly slot: number | null;
}

/** What a crash leaves. */
export interface Image {
  readonly directory: string;
  /** What of it is durable, if that is noted. */
  readonly kept: DiskImage | null;
}

/** What the sites of a simulation share. */
export interface Surroundings {
  readonly timeline: Timeline;
  readonly network: Network;
  readonly totals: Totals;
  /** Whether power may fail. */
  readonly remembersSyncs: boolean;
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
        // What a disk failed to take is no fault of the peer's.
        const isSound = site.around.totals.of('disk faults: EIO') + site.around.totals.of('disk faults: ENOSPC') === 0;
        if (isSound && (ending.code === 'rejected' || ending.code === 'protocol' || ending.code === 'slot'))
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

  /** As RunningSite.start of lib/daemon/running-site.ts: links come when what was recovered is durable. */
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
        await this.diskSync(this.packs.takeUnsynced());
        return packed;
      },
      close: () => this.packs.close(),
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
        if (this.dead) return;
        const code = disk.refuse('sync');
        if (code) return reject(new Error(`fsync: ${code}`));
        if (captured) disk.image!.completed(captured);
        resolve();
      }),
    );
  }

  /** After a failed sync, as after any failure that leaves the state in doubt, the daemon ends. */
  private diskFailed(error: Error): void {
    if (this.site.disk.refusals === 0) this.site.around.failed(error);
    else if (!this.dead) this.site.die();
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
    const more = this.guarded(() => this.server.background(this.site.clock.monotonicMs() + sliceMs));
    if (this.dead) return;
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

/** How a process ends. */
export type Crash = 'killed' | 'power lost';

export class Site {
  readonly clock: SiteClock;
  life: Life | null = null;
  /** Times it was killed. */
  kills = 0;
  /** What a crash in the middle of something left; the crash itself follows when that returns. */
  image: Image | null = null;
  /** How it comes about. */
  crash: Crash = 'killed';
  readonly disk: SiteDisk;
  private untilImage = 0;
  private losses = 0;
  /** What peers were told is durable here. */
  private announced: ReadonlyMap<ActorId, number> = new Map();
  private readonly rotten = new Set<ObjectId>();

  constructor(
    private readonly identity: SiteIdentity,
    directory: string,
    readonly around: Surroundings,
    private readonly random: Random,
    clock: { readonly skewMs: number; readonly rate: number; readonly tickUs?: number },
    /** Told when a process ended in the middle of something. */
    private readonly crashed: (crash: Crash) => void,
  ) {
    this.disk = new SiteDisk(directory, around.remembersSyncs, around.totals);
    this.clock = new SiteClock(around.timeline, clock.skewMs, clock.rate, () => this.crashPoint(), clock.tickUs);
  }

  get timeline(): Timeline {
    return this.around.timeline;
  }

  get directory(): string {
    return this.disk.directory;
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

  /** False when the daemon ended at once, for what its disk did. */
  start(): boolean {
    try {
      this.life = new Life(this, this.random.fork(`life ${this.kills}`));
    } catch (error) {
      if (this.disk.refusals === 0) throw error;
      this.around.totals.add('daemons ended by their disk');
      return false;
    }
    const vector = this.volume.journal.vector();
    for (const [actor, seq] of this.announced)
      if ((vector.get(actor) ?? 0) < seq)
        this.around.failed(new Error(`${this.name} told peers of change ${seq} of ${actor} and has lost it`));
    this.afterWork();
    return this.life !== null;
  }

  /** The site's loop gets its turn after a call. */
  wake(): void {
    this.life?.wake(this.random.next() * 0.3);
    this.afterWork();
  }

  /** How many changes it holds that other sites made. */
  get changesOfOthers(): number {
    const registers = this.volume.journal.store.inode(VOLUME_INO)!.registers;
    let count = 0;
    for (const [actor, seq] of this.volume.journal.vector())
      if (registers.get(`actor:${actor}`)?.[0]?.value !== this.siteId) count += seq;
    return count;
  }

  get digest(): string {
    return digestOf(this.volume.journal.store, (bytes) => createHash('sha256').update(bytes).digest());
  }

  // ── crashes ─────────────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** SIGKILL or power loss, with the disk as it stands; or as it was in the middle of what just happened. */
  kill(crash: Crash = 'killed'): void {
    const life = this.life;
    if (!life) return;
    if (this.image === null) this.crash = crash;
    const image = this.image ?? this.takeImage();
    this.image = null;
    this.untilImage = 0;
    this.life = null;
    this.kills++;
    for (const [actor, seq] of life.durable.vector) this.announced = new Map(this.announced).set(actor, seq);
    life.kill();
    const { directory } = this;
    setImmediate(() => {
      life.dispose();
      SiteDisk.forget(directory);
      rmSync(directory, { recursive: true, force: true });
    });
    this.disk.moveTo(image.directory, image.kept);
  }

  /** The daemon ended by itself, for what its disk did. */
  die(): void {
    this.around.totals.add('daemons ended by their disk');
    this.kill();
    this.crashed('killed');
  }

  /** The simulation is over. */
  abandon(): void {
    const { life } = this;
    this.life = null;
    life?.kill();
    setImmediate(() => {
      life?.dispose();
      SiteDisk.forget(this.directory);
    });
  }

  /** The process ends at the n-th moment from now at which something of it could be seen from outside. */
  killLater(moments: number, crash: Crash = 'killed'): void {
    this.untilImage = moments;
    this.crash = crash;
  }

  /** A moment within an operation. */
  crashPoint(): void {
    if (this.untilImage === 0 || --this.untilImage > 0) return;
    this.image = this.takeImage();
  }

  /** Nothing of the process is under way: the crash that was to be in the middle of it comes now. */
  afterWork(): void {
    if (this.image === null) return;
    this.kill();
    this.crashed(this.crash);
  }

  private takeImage(): Image {
    const directory = this.around.newDirectory();
    if (this.crash === 'killed') return { directory, kept: this.disk.copyTo(directory) };
    this.losses++;
    return { directory, kept: this.disk.loseTo(this.random.fork(`power ${this.losses}`), directory) };
  }

  // ── damage ──────────────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** One byte of a stored object changes on disk; of one that another site holds intact. False when there is none. */
  rot(choice: number, others: readonly Site[]): boolean {
    const { objects, journal } = this.volume;
    objects.flush();
    const held = journal.db.prepare('select hex(id) from object order by id').pluck().all() as string[];
    const ids = held.map((id) => id.toLowerCase()).filter((id) => others.some((other) => other.holdsIntact(id)));
    const id = ids[choice % Math.max(1, ids.length)];
    const object = id === undefined ? undefined : objects.locate(id);
    if (!object) return false;
    this.rotten.add(object.id);
    const fd = openSync(join(this.directory, 'packs', object.pack), 'r+');
    try {
      const at = object.offset + RECORD_HEADER_BYTES + (choice % object.stored);
      const byte = Buffer.alloc(1);
      readSync(fd, byte, 0, 1, at);
      byte[0]! ^= 1 << (choice % 8);
      writeSync(fd, byte, 0, 1, at);
    } finally {
      closeSync(fd);
    }
    return true;
  }

  private holdsIntact(id: ObjectId): boolean {
    return this.life !== null && !this.rotten.has(id) && this.volume.objects.has(id);
  }

  /** Bytes on disk. */
  get diskBytes(): number {
    const files = readdirSync(this.directory, { recursive: true, withFileTypes: true });
    return files.reduce((sum, file) => sum + (file.isFile() ? statSync(join(file.parentPath, file.name)).size : 0), 0);
  }
}

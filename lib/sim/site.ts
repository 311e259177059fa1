// site.ts — one simulated site: its machine, with clock and disk, the process that runs on it, and how that ends.
// Invariant: what a crash leaves is what was on disk at that moment, which may be in the middle of an operation; everything else of
// the old process (life.ts) is gone. There is no kernel: callers use the volume, kernel-cache.ts stands for what a kernel remembers, and
// kernel-files.ts for what it reads and writes by itself.

import { closeSync, openSync, readdirSync, readSync, rmSync, statSync, writeSync } from 'node:fs';
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { RECORD_HEADER_BYTES } from '../chunks/pack-record.js';
import { digestOf } from '../crdt/digest.js';
import { type ActorId, type ObjectId, VOLUME_INO } from '../crdt/ids.js';
import type { SiteConfig } from '../daemon/daemon-interface.js';
import type { Volume } from '../volume/volume.js';
import type { Archive } from './archive.js';
import type { ClockError } from './circumstances.js';
import type { DiskImage } from './disk-image.js';
import { Life } from './life.js';
import { MetPeers } from './met-peers.js';
import type { Network } from './network.js';
import type { Random } from './random.js';
import { lateStamp } from './recovered-stamps.js';
import { SiteClock } from './site-clock.js';
import { SiteDisk } from './site-disk.js';
import type { Timeline } from './timeline.js';
import type { Totals } from './totals.js';

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
  readonly archive: Archive;
  readonly totals: Totals;
  /** Whether power may fail. */
  readonly remembersSyncs: boolean;
  /** A fresh directory for a site's state. */
  readonly newDirectory: () => string;
  /** Writes of `mode` that took away set-user-id and set-group-id, each `counter@actor`. */
  readonly setIdDrops: Set<string>;
  /** A promise of the product was rejected where nobody looks, or damage was found where there cannot be any. */
  readonly failed: (error: Error) => void;
}

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
  readonly peers = new MetPeers();
  private kept: SiteConfig;
  private untilImage = 0;
  /** The latest that its clock told the two processes of it before the one that runs. */
  private endedUs = Infinity;
  private losses = 0;
  /** Since a process of it came to be ready last. */
  private isPowerLost = false;
  /** What peers were told is durable here. */
  private announced: ReadonlyMap<ActorId, number> = new Map();
  private readonly rotten = new Set<ObjectId>();

  constructor(
    private readonly identity: SiteIdentity,
    directory: string,
    readonly around: Surroundings,
    private readonly random: Random,
    clock: ClockError,
    /** Told when a process ended in the middle of something. */
    private readonly crashed: (crash: Crash) => void,
    /** Whether its kernel can be given local files to read and write by itself. */
    readonly hasPassthrough = false,
  ) {
    const { name: siteName, siteId, slot } = identity;
    this.kept = {
      volumeId: 'simulated',
      volume: 'simulated',
      siteId,
      site: siteName,
      mountpoint: '/nowhere',
      listen: '',
      driver: 'kernel',
      mountOptions: [],
      peers: [],
      slot,
    };
    const { skewMs, rate, tickUs, fileTickUs } = clock;
    this.clock = new SiteClock(around.timeline, skewMs, rate, () => this.crashPoint(), tickUs, fileTickUs);
    // Only where the local file is more than a place for what the log says are its changes moments of their own.
    const moment = hasPassthrough ? () => this.crashPoint() : () => {};
    this.disk = new SiteDisk(directory, around.remembersSyncs, around.totals, this.clock, moment, random.fork('disk'));
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
    return this.kept;
  }

  /** As site.json is written: whole, and at once. */
  saveConfig(config: SiteConfig): void {
    this.kept = config;
  }

  /** Of the process that runs. */
  get volume(): Volume {
    return this.life!.server.volume;
  }

  /** False when the daemon ended at once, for what its disk did. */
  start(): boolean {
    const afterPowerLoss = this.isPowerLost;
    this.isPowerLost = false;
    try {
      this.life = new Life(this, this.random.fork(`life ${this.kills}`), afterPowerLoss);
    } catch (error) {
      this.isPowerLost = afterPowerLoss;
      if (this.disk.refusals === 0) throw error;
      this.around.totals.add('daemons ended by their disk');
      // What it had open it has until it is collected: the next one goes on from a copy, and is another.
      this.kills++;
      const directory = this.around.newDirectory();
      const image = this.disk.copyTo(directory);
      SiteDisk.forget(this.directory);
      this.disk.moveTo(directory, image);
      return false;
    }
    const vector = this.volume.journal.vector();
    for (const [actor, seq] of this.announced)
      if ((vector.get(actor) ?? 0) < seq)
        this.around.failed(new Error(`${this.name} told peers of change ${seq} of ${actor} and has lost it`));
    const late = lateStamp(this.volume, this.life.actorId, this.endedUs);
    if (late) this.around.failed(new Error(`what ${this.name} did until ${this.endedUs} is stamped ${late}`));
    this.afterWork();
    if (this.life === null) this.isPowerLost ||= afterPowerLoss;
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

  /**
   * SIGKILL or power loss, with the disk as it stands; or as it was in the middle of what just happened.
   * @returns which of them it was: what {@link killLater} asked for may have come first
   */
  kill(crash: Crash = 'killed'): Crash {
    const life = this.life;
    if (!life) return crash;
    if (this.image === null) this.crash = crash;
    const image = this.image ?? this.takeImage();
    this.image = null;
    this.untilImage = 0;
    this.life = null;
    this.clock.nowUs();
    this.endedUs = this.clock.latestUs;
    this.clock.beginLife();
    this.kills++;
    for (const [actor, seq] of life.durable.vector) this.announced = new Map(this.announced).set(actor, seq);
    life.kill();
    this.peers.startAnew();
    const { directory } = this;
    setImmediate(() => {
      // What closing still writes goes to a directory that nobody looks at any more: no fault of its disk says anything.
      SiteDisk.forget(directory);
      life.dispose();
      rmSync(directory, { recursive: true, force: true });
    });
    this.disk.moveTo(image.directory, image.kept);
    return this.crash;
  }

  /** The daemon ended by itself, for what its disk did. */
  die(): void {
    this.around.totals.add('daemons ended by their disk');
    this.kill();
    this.crashed(this.crash); // power may have failed in the middle of what ended it
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
    this.isPowerLost = true;
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
    const at = object.offset + RECORD_HEADER_BYTES + (choice % object.stored);
    this.disk.byItself(() => flipBit(join(this.directory, 'packs', object.pack), at, choice % 8));
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

function flipBit(path: string, at: number, bit: number): void {
  const fd = openSync(path, 'r+');
  try {
    const byte = Buffer.alloc(1);
    readSync(fd, byte, 0, 1, at);
    byte[0]! ^= 1 << bit;
    writeSync(fd, byte, 0, 1, at);
  } finally {
    closeSync(fd);
  }
}

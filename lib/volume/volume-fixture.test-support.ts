// volume-fixture.test-support.ts — volumes in temporary state directories, without kernel or network, for tests.
// Two fixtures of one volume exchange changes and objects directly: what the links do, without them.

import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { createHash, randomBytes } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { IngestJob, IngestResult } from '../chunks/ingest.js';
import { IngestPool } from '../chunks/ingest.js';
import type { MissingObject } from '../chunks/object-kind.js';
import { packNames } from '../chunks/pack-use.js';
import { ReceivedObjects } from '../chunks/received-objects.js';
import { digestOf } from '../crdt/digest.js';
import { type ObjectId, ROOT_INO } from '../crdt/ids.js';
import type { RetentionRules } from '../journal/held-versions.js';
import { statePath } from '../journal/schema.js';
import { JournalReader } from '../journal/journal-reader.js';
import { carryOut, type CollectionSite, type Collected } from './collection.js';
import { type CollectionSurvey, surveyObjects } from './collection-survey.js';
import type { Caller, Ino } from './file-system.js';
import { Volume } from './volume.js';

export const USER: Caller = { uid: 1000, gid: 1000, pid: 1 };
const O_RDWR = 2;

/** A clock that moves one millisecond per look. */
function steppingClock(startMs: number) {
  let ms = startMs;
  return {
    nowUs: () => ms++ * 1000,
    now: () => ({ s: Math.floor(ms / 1000), ns: (ms++ % 1000) * 1e6 }),
    monotonicMs: () => ms++,
    pass: (passedMs: number) => void (ms += passedMs),
  };
}

export interface Collection {
  readonly survey: CollectionSurvey;
  readonly collected: Collected;
}

export class VolumeFixture {
  volume: Volume;
  /** What no peer is said to have, to the next collection. */
  reportedAbsent: ObjectId[] = [];
  /** What was asked for because readers will soon want it. */
  readonly ahead: ObjectId[] = [];
  readonly notices: string[] = [];
  /** How long a commit takes by the site's clock, but for the looks at it. */
  commitMs = 0;
  private readonly jobs: IngestJob[] = [];
  /** A worker that takes what is to be packed as soon as it is asked, instead of {@link pack}. */
  worker: ((job: IngestJob) => void) | undefined;
  private readonly abandoned: [Volume, string][] = [];

  constructor(
    public directory: string,
    readonly siteId: string,
    private slot: number | null,
    private startMs = 1_700_000_000_000,
  ) {
    this.volume = this.open();
  }

  /** A new volume's first site. */
  static create(): VolumeFixture {
    const fixture = new VolumeFixture(temporaryDirectory(), randomBytes(16).toString('hex'), null);
    fixture.slot = fixture.volume.registers.claimSlot(() => 0);
    fixture.volume.registers.createRoot({ uid: 0, gid: 0, pid: 0 });
    return fixture;
  }

  /** The same site once more, from its state as it stands. */
  static copyOf(site: VolumeFixture): VolumeFixture {
    const copy = temporaryDirectory();
    execFileSync('cp', ['-a', `${site.directory}/.`, copy]);
    rmSync(`${statePath(copy)}-shm`, { force: true });
    return new VolumeFixture(copy, site.siteId, site.slot, site.startMs + 1_000_000);
  }

  /** A further site, which has what this one has. */
  async join(): Promise<VolumeFixture> {
    const other = new VolumeFixture(
      temporaryDirectory(),
      randomBytes(16).toString('hex'),
      null,
      this.startMs + 5_000_000,
    );
    await this.sendTo(other);
    other.slot = other.volume.registers.claimSlot((n) => n - 1);
    await other.sendTo(this);
    return other;
  }

  /** A slot for a site without one. */
  claimSlot(pick: (n: number) => number): number {
    return (this.slot = this.volume.registers.claimSlot(pick));
  }

  private open(afterPowerLoss = false): Volume {
    const clock = steppingClock(this.startMs);
    return Volume.open({
      stateDirectory: this.directory,
      siteId: this.siteId,
      siteName: `site${this.siteId.slice(0, 2)}`,
      slot: this.slot,
      actorId: randomBytes(16).toString('hex'),
      clock,
      kernel: {
        invalidateEntry: (parent, name) => this.notices.push(`entry ${parent}/${name}`),
        entryDeleted: (parent, name) => this.notices.push(`deleted ${parent}/${name}`),
        invalidateInode: (ino, content) => this.notices.push(`inode ${ino}${content ? ' content' : ''}`),
      },
      ingester: { ingest: (job) => (this.worker ? this.worker(job) : this.jobs.push(job)) },
      pick: (n) => Number.parseInt(this.siteId.slice(0, 8), 16) % n,
      onSlot: (slot, why) => this.notices.push(`slot ${slot} ${why}`),
      onQuarantine: (from, change, reason) => this.notices.push(`quarantined ${from} ${change} ${reason}`),
      onReadAhead: (ids) => this.ahead.push(...ids),
      onCommit: () => clock.pass(this.commitMs),
      onCorrupt: (what) => this.notices.push(`corrupt ${what}`),
      onLost: (what) => this.notices.push(`lost ${what}`),
      afterPowerLoss,
    });
  }

  /** Closes in an orderly way and opens again. */
  reopen(): void {
    this.volume.close();
    this.volume = this.open();
  }

  /** Opens what was closed already. */
  reopenClosed(): void {
    this.volume = this.open();
  }

  /** Goes on from a copy of the state as it stands, as after SIGKILL; the old volume is left alone. `lose`: what power loss takes of the copy. */
  crash(downMs = 0, lose?: (copy: string) => void): void {
    this.startMs += downMs;
    const copy = temporaryDirectory();
    execFileSync('cp', ['-a', `${this.directory}/.`, copy]); // unlike Node's, with the holes
    rmSync(`${statePath(copy)}-shm`, { force: true }); // a state that was given up has none
    lose?.(copy);
    this.abandoned.push([this.volume, this.directory]);
    this.directory = copy;
    this.jobs.length = 0; // the workers died with it
    this.volume = this.open(lose !== undefined);
    this.volume.allowPassthrough();
  }

  /** Publishes everything, large files through real ingest workers. */
  async publish(): Promise<void> {
    // A file of which a worker took something for held that a collection discarded is packed again.
    do {
      this.volume.publishAll();
      for (const result of await this.pack()) this.volume.arrivals.ingested(result);
    } while (this.jobs.length > 0);
  }

  /** What ingest workers make of the files that wait for them; not handed over yet. */
  async pack(): Promise<IngestResult[]> {
    if (this.jobs.length === 0) return [];
    const pool = new IngestPool(statePath(this.directory), join(this.directory, 'packs'));
    try {
      return await Promise.all(this.jobs.splice(0).map((job) => pool.run(job)));
    } finally {
      await pool.close();
    }
  }

  /**
   * A collection, with nothing kept that nothing shows but what the rules say.
   * @param between called after each of its steps
   */
  async collect(
    rules: Partial<RetentionRules> = {},
    between: (step: string) => unknown = () => {},
  ): Promise<Collection> {
    const { volume, directory } = this;
    const sealed = packNames(join(directory, 'packs'));
    await between('sealed');
    const inUse = volume.collection.begin();
    const all = { nowUs: Infinity, keepHistoryMs: 0, acknowledged: null, ...rules };
    const survey = surveyObjects({
      stateDirectory: directory,
      rules: all,
      inUse,
      reportedAbsent: this.reportedAbsent,
      keepsAll: volume.objects.keepsAll,
    });
    await between('survey');
    volume.collection.correctWants(survey.needed, survey.unneeded);
    const site: CollectionSite = {
      collect: async (unused, moved) => {
        const kept = volume.collection.collect(unused, moved, false);
        await between('collect');
        return kept;
      },
      retire: async (packs) => {
        const { retired, commit } = volume.collection.retire(packs);
        volume.folding.durable(commit);
        await between('retire');
        return retired;
      },
      verify: async (ids) => ids.forEach((id) => volume.arrivals.verify(id)),
    };
    const collected = await carryOut(directory, survey, site, sealed, Date.now());
    await between('remove');
    volume.collection.end(collected.removedPacks);
    return { survey, collected };
  }

  /** Bytes of all packs, as far as they are on the disk. */
  get packBytes(): number {
    const names = readdirSync(join(this.directory, 'packs'));
    return names.reduce((sum, name) => sum + statSync(join(this.directory, 'packs', name)).blocks * 512, 0);
  }

  /** Gives another site every change that it lacks, and of the objects those that it `takes`. */
  async sendTo(other: VolumeFixture, takes: (object: MissingObject) => boolean = () => true): Promise<void> {
    await this.publish();
    const reader = JournalReader.open(this.directory);
    const changes = reader.changesAfter(other.volume.journal.heldVector(), 2 ** 30);
    reader.close();
    let refused: Error | null = null;
    other.volume.remote.deliver(
      changes.map(({ bytes }) => bytes),
      this.siteId,
      (error) => (refused = error),
      changes.map(({ deps }) => deps),
    );
    while (other.volume.background.run(() => false));
    if (refused) throw refused;
    const received = new ReceivedObjects(join(other.directory, 'packs'));
    for (
      let missing = other.volume.objects.missing(100);
      missing.length > 0;
      missing = other.volume.objects.missing(100)
    ) {
      const held = missing.filter((object) => this.volume.objects.has(object.id) && takes(object));
      if (held.length === 0) break;
      const objects = held.map(({ id, kind }) => ({ id, kind, bytes: this.volume.objects.get(id) }));
      other.volume.arrivals.adopt(await received.store(objects));
    }
    await received.close();
  }

  /** Both know everything of each other afterwards. */
  async mergeWith(other: VolumeFixture): Promise<void> {
    await this.sendTo(other);
    await other.sendTo(this);
  }

  get digest(): string {
    this.volume.fold();
    return digestOf(this.volume.journal.store, (bytes) => createHash('sha256').update(bytes).digest());
  }

  resolve(path: string): Ino {
    let ino = ROOT_INO;
    for (const name of path.split('/').filter((part) => part !== '')) {
      const found = this.volume.files.lookup(ino, name);
      if (!found) throw Object.assign(new Error(`${path}: no ${name}`), { code: 'ENOENT' });
      ino = found.ino;
    }
    return ino;
  }

  private place(path: string): [Ino, string] {
    const slash = path.lastIndexOf('/');
    return [this.resolve(path.slice(0, Math.max(slash, 0))), path.slice(slash + 1)];
  }

  mkdir(path: string): Ino {
    return this.volume.files.mkdir(...this.place(path), 0o755, 0o022, USER).ino;
  }

  /** Creates or overwrites a file and closes it. */
  write(path: string, text: string | Buffer): Ino {
    const [parent, name] = this.place(path);
    const data = Buffer.from(text as string);
    const existing = this.volume.files.lookup(parent, name);
    const O_TRUNC = 0o1000;
    const { ino, handle } = existing
      ? { ino: existing.ino, handle: this.volume.files.open(existing.ino, O_RDWR | O_TRUNC, false, USER).handle }
      : (({ attributes, opened }) => ({ ino: attributes.ino, handle: opened.handle }))(
          this.volume.files.create(parent, name, 0o644, O_RDWR, 0o022, USER),
        );
    for (let at = 0; at < data.length; at += 1 << 20)
      this.volume.files.write(handle, at, data.subarray(at, at + (1 << 20)), false);
    this.volume.files.release(handle);
    return ino;
  }

  read(path: string): Buffer {
    const ino = this.resolve(path);
    const { size } = this.volume.files.getattr(ino);
    const { handle } = this.volume.files.open(ino, 0, false, USER);
    const bytes = Buffer.alloc(size);
    const length = this.volume.files.read(handle, 0, size, bytes, 0);
    this.volume.files.release(handle);
    return bytes.subarray(0, length);
  }

  text(path: string): string {
    return this.read(path).toString();
  }

  rename(from: string, to: string): void {
    this.volume.files.rename(...this.place(from), ...this.place(to), 0, USER);
  }

  unlink(path: string): void {
    this.volume.files.unlink(...this.place(path));
  }

  rmdir(path: string): void {
    this.volume.files.rmdir(...this.place(path));
  }

  list(path: string): string[] {
    const names: string[] = [];
    this.volume.files.readdir(this.resolve(path), 2, ({ name }) => names.push(name) > 0);
    return names.toSorted();
  }

  remove(): void {
    for (const [volume, directory] of [...this.abandoned, [this.volume, this.directory] as const]) {
      if (volume.journal.isUsable) volume.close();
      rmSync(directory, { recursive: true, force: true });
    }
  }
}

export function temporaryDirectory(): string {
  return mkdtempSync(join(tmpdir(), 'weft-volume-'));
}

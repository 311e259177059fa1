// journal-site.ts — a site of `make bench-journal`: a volume in a temporary state directory, without kernel and network. Two of them exchange
// changes and objects directly, by what the links use.

import { createHash, randomBytes, randomInt } from 'node:crypto';
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ReceivedObjects } from '../../lib/chunks/received-objects.js';
import { packNames } from '../../lib/chunks/pack-use.js';
import { digestOf } from '../../lib/crdt/digest.js';
import { type Ino, ROOT_INO, type SiteId } from '../../lib/crdt/ids.js';
import { NO_KERNEL_CACHE } from '../../lib/daemon/site-server.js';
import { SystemClock } from '../../lib/daemon/system-clock.js';
import { JournalReader } from '../../lib/journal/journal-reader.js';
import { statePath } from '../../lib/journal/schema.js';
import { carryOut, type CollectionSite } from '../../lib/volume/collection.js';
import { surveyObjects } from '../../lib/volume/collection-survey.js';
import type { Caller } from '../../lib/volume/file-system.js';
import { Volume } from '../../lib/volume/volume.js';

const O_RDWR = 2;
const O_TRUNC = 0o1000;
const O_CREAT_MODE = 0o644;
const UMASK = 0o022;
const CHANGES_BYTES = 2 ** 30;
const OBJECTS = 1_000;
const SLICE_MS = 2;

export const ROOT: Caller = { uid: 0, gid: 0, pid: 1 };

export class JournalSite {
  readonly siteId: SiteId = randomBytes(16).toString('hex');
  readonly directory = mkdtempSync(join(tmpdir(), 'weft-bench-journal-'));
  private slot: number | null = null;
  volume: Volume;

  constructor(private readonly name: string) {
    this.volume = this.open();
  }

  private open(): Volume {
    return Volume.open({
      stateDirectory: this.directory,
      siteId: this.siteId,
      siteName: this.name,
      slot: this.slot,
      actorId: randomBytes(16).toString('hex'),
      clock: new SystemClock(),
      kernel: NO_KERNEL_CACHE,
      ingester: {
        ingest: () => {
          throw new Error('only small files');
        },
      },
      pick: (n) => randomInt(n),
      onSlot: () => {},
      onQuarantine: (from, change, reason) => {
        throw new Error(`change ${change} of ${from}: ${reason}`);
      },
      onReadAhead: () => {},
      onCommit: () => {},
      onCorrupt: (what) => {
        throw new Error(what);
      },
    });
  }

  /** The first site of a volume. */
  found(): void {
    this.claimSlot();
    this.volume.registers.createRoot(ROOT);
    this.volume.fold();
  }

  /** From now on it can make files. */
  claimSlot(): void {
    this.slot = this.volume.registers.claimSlot((n) => Math.floor(n / 2));
  }

  find(name: string): Ino {
    return this.volume.files.lookup(ROOT_INO, name)!.ino;
  }

  rename(from: string, to: string): void {
    this.volume.files.rename(ROOT_INO, from, ROOT_INO, to, 0, ROOT);
  }

  /** Creates or overwrites a file of the root. */
  write(name: string, text: string): void {
    const { files } = this.volume;
    const found = files.lookup(ROOT_INO, name);
    const handle = found
      ? files.open(found.ino, O_RDWR | O_TRUNC, false, ROOT).handle
      : files.create(ROOT_INO, name, O_CREAT_MODE, O_RDWR, UMASK, ROOT).opened.handle;
    files.write(handle, 0, Buffer.from(text), false);
    files.release(handle);
  }

  /** Gives another site every change and object that it lacks. */
  async sendTo(other: JournalSite): Promise<void> {
    this.volume.publishAll();
    const reader = JournalReader.open(this.directory);
    const changes = reader.changesAfter(other.volume.journal.heldVector(), CHANGES_BYTES);
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
    for (;;) {
      const missing = other.volume.objects.missing(OBJECTS).filter(({ id }) => this.volume.objects.has(id));
      if (missing.length === 0) break;
      const objects = missing.map(({ id, kind }) => ({ id, kind, bytes: this.volume.objects.get(id) }));
      other.volume.arrivals.adopt(await received.store(objects));
    }
    received.close();
  }

  /** Drops all that nobody needs, no history being kept, as if all sites had everything. @returns the longest slice, in ms */
  cutOff(): number {
    const { volume } = this;
    volume.fold();
    volume.truncating.ask({ frontier: new Map(volume.journal.vector()), keepHistoryMs: 0, nowUs: Infinity });
    let longestMs = 0;
    for (let more = true; more;) {
      const startMs = performance.now();
      more = volume.background.run(() => performance.now() - startMs >= SLICE_MS);
      longestMs = Math.max(longestMs, performance.now() - startMs);
    }
    volume.folding.commit();
    return longestMs;
  }

  /** What it keeps on disk when it was closed in an orderly way: state.db and packs, in bytes. */
  async restBytes(): Promise<number> {
    const { volume, directory } = this;
    const sealed = packNames(join(directory, 'packs'));
    const inUse = volume.collection.begin();
    const rules = { nowUs: Infinity, keepHistoryMs: 0, acknowledged: null };
    const survey = surveyObjects({ stateDirectory: directory, rules, inUse, reportedAbsent: [], keepsAll: true });
    const site: CollectionSite = {
      collect: async (unused, moved) => volume.collection.collect(unused, moved, false),
      retire: async (packs) => {
        const { retired, commit } = volume.collection.retire(packs);
        volume.folding.durable(commit);
        return retired;
      },
      verify: async () => {},
    };
    const { removedPacks } = await carryOut(directory, survey, site, sealed, Date.now());
    volume.collection.end(removedPacks);
    this.cutOff();
    volume.close();
    this.volume = this.open();
    const packs = readdirSync(join(directory, 'packs')).map((name) => statSync(join(directory, 'packs', name)));
    return statSync(statePath(directory)).size + packs.reduce((sum, { blocks }) => sum + blocks * 512, 0);
  }

  /** Takes over the base of another site. @returns its bytes */
  takeOver(from: JournalSite, partBytes: number): number {
    const reader = JournalReader.open(from.directory);
    const offer = reader.baseOffer()!;
    let bytes = 0;
    for (let after = this.volume.base.offered(offer); after !== null;) {
      const part = reader.readBase(offer.id, after, partBytes)!;
      bytes += part.bytes.length;
      after = this.volume.base.take(part, from.siteId);
    }
    reader.close();
    return bytes;
  }

  get digest(): string {
    this.volume.fold();
    return digestOf(this.volume.journal.store, (bytes) => createHash('sha256').update(bytes).digest());
  }

  remove(): void {
    this.volume.close();
    rmSync(this.directory, { recursive: true, force: true });
  }
}

// journal-reader.ts — the committed journal as another thread or process sees it: what there is, and what someone lacks.
// Invariant: changes come in the order in which they were appended here, so whoever has what the vector says can apply each on
// arrival. The vector is the cursor: advance it by what was sent and ask again. Every call is a short read of its own, because a
// reader that stays keeps the WAL from being started over.

import type { Dot, VersionVector } from '../crdt/change.js';
import type { ActorId, Ino } from '../crdt/ids.js';
import type { Inode } from '../crdt/inode.js';
import { baseId, type BaseOffer, type BasePart, encodeBasePart } from './base-part.js';
import { BaseRows } from './base-rows.js';
import { decodeDots } from './dots.js';
import { FLOOR_KEY, parseFloorMark, readFloor } from './floor.js';
import { DamagedChange, isIntactChange } from './lost-changes.js';
import { checkRow } from './row-sum.js';
import type { Connection, Statement } from './schema.js';
import { openStateReader, statePath } from './schema.js';

/** A change as it stands in the journal. */
export interface JournaledChange {
  readonly actor: ActorId;
  readonly seq: number;
  readonly stamp: number;
  /** SHA-256 hex. */
  readonly hash: string;
  readonly bytes: Buffer;
  /** Where those stand that it builds on, in the order of its own list. */
  readonly deps: readonly Dot[];
}

interface HeldActor {
  readonly id: number;
  readonly name: ActorId;
  readonly lastSeq: number;
}

type PlacedSeq = [lsn: number, seq: number];
type ChangeRow = [stamp: number, hash: Buffer, bytes: Buffer, deps: Buffer];

const SEQS_PER_READ = 64;

/** The next changes of one actor, read a few at a time. */
interface Feed {
  readonly actor: HeldActor;
  placed: PlacedSeq[];
  at: number;
}

export class JournalReader {
  private readonly db: Connection;
  private readonly dataVersion: Statement;
  private readonly selectActors: Statement;
  private readonly selectPlaces: Statement;
  private readonly selectChange: Statement;
  private readonly selectBySeq: Statement;
  private readonly selectBytes: Statement;
  private readonly selectBytesAfter: Statement;
  private readonly selectMeta: Statement;
  private readonly base: BaseRows;
  private readonly selectLast: Statement;
  private readonly selectFirstAfter: Statement;
  private actors: readonly HeldActor[] = [];
  private names: ReadonlyMap<number, ActorId> = new Map();
  private actorsVersion = -1;
  private floorVector: VersionVector = new Map();
  private floorVersion = -1;
  private floorLsn = 0;
  private floorText: string | undefined;
  private offer: BaseOffer | null = null;

  private constructor(db: Connection) {
    this.db = db;
    this.dataVersion = db.prepare('pragma data_version').pluck();
    this.selectActors = db.prepare('select id, name, last_seq, last_hash, sum from actor order by id').raw();
    this.selectPlaces = db
      .prepare(`select lsn, seq from change where actor = ? and seq > ? order by seq limit ${SEQS_PER_READ}`)
      .raw();
    this.selectChange = db.prepare('select stamp, hash, bytes, deps from change where lsn = ?').raw();
    this.selectBySeq = db.prepare('select stamp, hash, bytes, deps from change where actor = ? and seq = ?').raw();
    this.selectBytes = db.prepare('select journal_bytes from progress').pluck();
    this.selectBytesAfter = db.prepare('select total(length(bytes)) from change where actor = ? and seq > ?').pluck();
    this.selectLast = db.prepare('select ifnull(max(lsn), 0) from change').pluck();
    this.selectFirstAfter = db
      .prepare('select lsn from change where actor = ? and seq > ? order by seq limit 1')
      .pluck();
    this.base = new BaseRows(db);
    this.selectMeta = db.prepare('select value from meta where key = ?').pluck();
  }

  /** Opens the state of a directory where a Journal was opened before. */
  static open(directory: string): JournalReader {
    return new JournalReader(openStateReader(statePath(directory)));
  }

  /** Highest committed seq of each actor. */
  vector(): VersionVector {
    return new Map(this.held().map(({ name, lastSeq }) => [name, lastSeq]));
  }

  /** Bytes of all changes. */
  journalBytes(): number {
    return this.selectBytes.get() as number;
  }

  /** The changes that are not in the journal any more: highest seq of each actor. */
  floor(): VersionVector {
    this.readFloor();
    return this.floorVector;
  }

  /** What those add up to; null: there are none. */
  baseOffer(): BaseOffer | null {
    this.readFloor();
    return this.offer;
  }

  /** Part of the base with this id, behind an inode; null: the base is another one by now. At least one inode, if there is any. */
  readBase(id: string, after: Ino, maxBytes: number): BasePart | null {
    return this.atOnce(() => {
      this.readFloor();
      if (this.offer?.id !== id) return null;
      const inodes: Inode[] = [];
      let totalBytes = 0;
      let done = true;
      for (const { inode, bytes } of this.base.after(after)) {
        if (inodes.length > 0 && totalBytes + bytes > maxBytes) {
          done = false;
          break;
        }
        totalBytes += bytes;
        inodes.push(inode);
      }
      const last = inodes.at(-1)?.ino ?? after;
      return { id, after, last, done, bytes: encodeBasePart(inodes, (index) => this.nameOf(index)) };
    });
  }

  private readFloor(): void {
    const version = this.dataVersion.get() as number;
    if (version === this.floorVersion) return;
    this.atOnce(() => {
      const text = this.meta(FLOOR_KEY);
      if (text !== undefined && text !== this.floorText) {
        const actors = [...readFloor(this.db)]
          .map(([actor, change]) => ({ actor: this.nameOf(actor), ...change }))
          .toSorted((a, b) => (a.actor < b.actor ? -1 : 1));
        const { heads, stamp, lsn } = parseFloorMark(text);
        this.floorLsn = lsn;
        const inodes = this.base.count();
        this.floorVector = new Map(actors.map(({ actor, seq }) => [actor, seq]));
        this.offer = { id: baseId(actors), actors, heads, stamp, inodes };
        this.floorText = text;
      }
      this.floorVersion = version;
    });
  }

  private nameOf(actor: number): ActorId {
    let name = this.names.get(actor);
    if (name === undefined) {
      this.names = new Map(this.db.prepare('select id, name from actor').raw().all() as [number, ActorId][]);
      name = this.names.get(actor)!;
    }
    return name;
  }

  /** What is read in it belongs to one commit. */
  private atOnce<T>(read: () => T): T {
    if (this.db.inTransaction) return read();
    this.db.exec('begin');
    try {
      return read();
    } finally {
      this.db.exec('commit');
    }
  }

  meta(key: string): string | undefined {
    return this.selectMeta.get(key) as string | undefined;
  }

  /** One change; undefined when it is not here. */
  change(actor: ActorId, seq: number): JournaledChange | undefined {
    const held = this.held().find(({ name }) => name === actor);
    const row = held && (this.selectBySeq.get(held.id, seq) as ChangeRow | undefined);
    return row && this.toChange(actor, seq, row);
  }

  /**
   * What a site with this vector lacks, in causal order; of one that lacks what is below the {@link floor}, no more than what is behind it.
   * @param maxBytes of the changes together; one that is larger comes alone
   * @throws DamagedChange when it comes to one whose bytes are not what its hash says
   * @returns empty when it lacks nothing
   */
  changesAfter(vector: VersionVector, maxBytes: number): JournaledChange[] {
    const feeds: Feed[] = [];
    for (const actor of this.held()) {
      const after = vector.get(actor.name) ?? 0;
      if (actor.lastSeq <= after) continue;
      const placed = this.placesAfter(actor, after);
      // The next one is lost, or was dropped: what is behind it is not for who lacks it.
      if (placed[0]?.[1] === after + 1) feeds.push({ actor, placed, at: 0 });
    }
    const changes: JournaledChange[] = [];
    let totalBytes = 0;
    while (feeds.length > 0) {
      const next = firstOf(feeds);
      const feed = feeds[next]!;
      const [lsn, seq] = feed.placed[feed.at]!;
      const row = this.selectChange.get(lsn) as ChangeRow | undefined;
      // Lost meanwhile, see lost-changes.ts: what follows builds on it.
      if (!row) break;
      if (changes.length > 0 && !isIntactChange(row[1], row[2])) break; // what comes before it is good, and the next call says so
      const change = this.toChange(feed.actor.name, seq, row);
      totalBytes += change.bytes.length;
      if (totalBytes > maxBytes && changes.length > 0) break;
      changes.push(change);
      if (++feed.at === feed.placed.length) {
        feed.placed = seq < feed.actor.lastSeq ? this.placesAfter(feed.actor, seq) : [];
        feed.at = 0;
        if (feed.placed.length === 0) feeds.splice(next, 1);
      }
    }
    return changes;
  }

  /** Bytes of the changes that a site with this vector lacks. Reads them all: for the status display. */
  bytesAfter(vector: VersionVector): number {
    let bytes = 0;
    for (const actor of this.held()) {
      const after = vector.get(actor.name) ?? 0;
      if (actor.lastSeq > after) bytes += this.selectBytesAfter.get(actor.id, after) as number;
    }
    return bytes;
  }

  /** How many of the changes, in the order in which they arrived here, this vector has without a gap. Who lacks one that was dropped: none. */
  coveredCount(vector: VersionVector): number {
    for (const [actor, seq] of this.floor()) if ((vector.get(actor) ?? 0) < seq) return 0;
    let covered = Math.max(this.selectLast.get() as number, this.floorLsn);
    for (const { id, name, lastSeq } of this.held()) {
      const after = vector.get(name) ?? 0;
      if (lastSeq <= after) continue;
      const lsn = this.selectFirstAfter.get(id, after) as number | undefined;
      if (lsn !== undefined && lsn <= covered) covered = lsn - 1;
    }
    return covered;
  }

  close(): void {
    this.db.close();
  }

  private toChange(actor: ActorId, seq: number, [stamp, hash, bytes, deps]: ChangeRow): JournaledChange {
    if (!isIntactChange(hash, bytes)) throw new DamagedChange(actor, seq);
    const dots = decodeDots(deps).map((dot) => ({ actor: this.nameOf(dot.actor), seq: dot.seq }));
    return { actor, seq, stamp, hash: hash.toString('hex'), bytes, deps: dots };
  }

  private placesAfter(actor: HeldActor, seq: number): PlacedSeq[] {
    return this.selectPlaces.all(actor.id, seq) as PlacedSeq[];
  }

  /** The actors with changes; read again only after a commit. */
  private held(): readonly HeldActor[] {
    const version = this.dataVersion.get() as number;
    if (version !== this.actorsVersion) {
      type ActorRow = [id: number, name: ActorId, lastSeq: number, lastHash: Buffer | null, sum: number];
      const held: HeldActor[] = [];
      for (const [id, name, lastSeq, lastHash, sum] of this.selectActors.all() as ActorRow[]) {
        checkRow(() => `actor ${id}`, sum, id, name, lastSeq, lastHash);
        if (lastSeq > 0) held.push({ id, name, lastSeq });
      }
      this.actors = held;
      this.actorsVersion = version;
    }
    return this.actors;
  }
}

/** Index of the feed whose next change was appended first. Few actors are behind at a time: no heap. */
function firstOf(feeds: readonly Feed[]): number {
  let first = 0;
  let lowest = Infinity;
  feeds.forEach(({ placed, at }, index) => {
    const lsn = placed[at]![0];
    if (lsn < lowest) {
      lowest = lsn;
      first = index;
    }
  });
  return first;
}

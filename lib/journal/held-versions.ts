// held-versions.ts — which versions of files a site keeps the bytes of, and why: the one place that says so.
// Invariant: what is shown is always among them; of the rest, each rule only adds. Whatever keeps versions (history by age, peers that
// may still build on one, merges to come) is written here, and whoever asks (collection, history) asks here. It reads one commit
// and the journal; what only lives in memory (open files, drafts) is for the caller to add.

import type { VersionVector } from '../crdt/change.js';
import { isTombstone, LINK_PREFIX, parseHead } from '../crdt/fields.js';
import { attributesOf } from '../crdt/inode-attributes.js';
import type { HeadVersion } from '../crdt/inode-attributes.js';
import type { ActorId, Ino, ObjectId, OpId } from '../crdt/ids.js';
import { VOLUME_INO } from '../crdt/ids.js';
import type { Entry, Inode } from '../crdt/inode.js';
import { parseKey } from '../crdt/register-schema.js';
import { retentionOf, snapshotsOf } from '../crdt/snapshots.js';
import { type FileVersions, nearestCommonVersions, type Version } from '../crdt/version-graph.js';
import { BaseRows } from './base-rows.js';
import { decodeChange, startOpOf } from './change-codec.js';
import { retentionInForce, siteRetention, UNLIMITED } from './retention.js';
import type { StateSnapshot } from './state-snapshot.js';
import { VersionHistory } from './version-history.js';

/** Why a version is kept; the first that holds. */
export const HOLD_REASONS = ['shown', 'conflict', 'merge', 'open', 'snapshot', 'history', 'peers'] as const;
export type HoldReason = (typeof HOLD_REASONS)[number];

export interface HeldVersion {
  readonly manifest: ObjectId;
  /** Bytes of the file. */
  readonly size: number;
  readonly reason: HoldReason;
}

/** What keeps a version that nothing shows any more. */
export interface RetentionRules {
  /** Microseconds since 1970. */
  readonly nowUs: number;
  /** How long this site keeps one after something took its place; null: what the volume says, or else 30 days. */
  readonly keepHistoryMs: number | null;
  /**
   * What every peer acknowledged: one that gave way by a later change may still be what a peer shows, and builds on. Null: there is no
   * peer.
   */
  readonly acknowledged: VersionVector | null;
}

/** Bases of bases of merges: criss-cross merges go that deep, see lib/volume/version-merge.ts. */
const MERGE_DEPTH_MAX = 8;
const CHANGES_PER_READ = 256;
const MS_PER_S = 1_000;
const US_PER_S = 1_000_000;

/** Calls `visit` with every version that is kept; with some of them several times, for one reason or for several. */
export function visitHeldVersions(
  snapshot: StateSnapshot,
  rules: RetentionRules,
  visit: (held: HeldVersion) => void,
): void {
  new HeldVersions(snapshot, rules, visit).run();
}

/** What else may keep a version, once nothing shows it. */
interface Departure {
  /** When it gave way, microseconds since 1970. */
  readonly stampUs: number;
  /** Whether every peer knows. */
  readonly isKnown: boolean;
  /** The snapshots that it was gone in, a bit for each. */
  readonly goneIn: bigint;
}

interface CountedVersion {
  readonly ino: Ino;
  readonly head: string;
  readonly stampUs: number;
  readonly isKnown: boolean;
}

class HeldVersions {
  private readonly history: VersionHistory;
  private readonly known: Moment | null;
  private readonly snapshots: readonly Moment[];
  /** What gave way at or after this is history that is kept, microseconds since 1970. */
  private readonly historyFromUs: number;
  /** Of that, so many versions of a file, and so many bytes of all together, by their sizes: what gave way last. */
  private readonly countMax: number;
  private readonly bytesMax: number;
  /** What is history by its age, while it must be counted. */
  private readonly counted: CountedVersion[] = [];

  constructor(
    private readonly snapshot: StateSnapshot,
    rules: RetentionRules,
    private readonly visit: (held: HeldVersion) => void,
  ) {
    this.history = new VersionHistory(snapshot);
    this.known = rules.acknowledged && new Moment(snapshot, rules.acknowledged);
    const volume = snapshot.store.inode(VOLUME_INO);
    this.snapshots = snapshotsOf(volume, snapshot.actors).map(({ vector }) => new Moment(snapshot, vector));
    const site = siteRetention(snapshot);
    const { age, count, bytes } = retentionInForce(
      retentionOf(volume),
      rules.keepHistoryMs === null ? site : { ...site, age: rules.keepHistoryMs / MS_PER_S },
    );
    this.historyFromUs = rules.nowUs - age * US_PER_S;
    this.countMax = count;
    this.bytesMax = bytes;
  }

  run(): void {
    const { store } = this.snapshot;
    for (const ino of store.inodes()) {
      const inode = store.inode(ino)!;
      const heads = inode.registers.get('head');
      if (!heads) continue;
      if (isInTree(inode)) this.visitShown(inode, heads);
      else {
        const departure = this.departureOf(inode);
        for (const head of heads) this.visitDeparted(ino, String(head.value), this.snapshotsWithOp(head), departure);
      }
    }
    this.visitOverwritten();
    this.visitCounted();
  }

  private visitShown(inode: Inode, heads: readonly Entry[]): void {
    for (const [i, { value }] of heads.entries()) this.hold(String(value), i === 0 ? 'shown' : 'conflict');
    if (heads.length > 1) this.visitMergeBases(inode.ino, attributesOf(inode).heads);
  }

  private hold(head: string, reason: HoldReason): void {
    const { manifest, size } = parseHead(head);
    this.visit({ manifest, size, reason });
  }

  /** @param snapshots those that the version was written before, a bit for each */
  private visitDeparted(ino: Ino, head: string, snapshots: bigint, departure: Departure): void {
    const { stampUs, isKnown, goneIn } = departure;
    if ((snapshots & ~goneIn) !== 0n) this.hold(head, 'snapshot');
    else if (stampUs <= this.historyFromUs) {
      if (!isKnown) this.hold(head, 'peers');
    } else if (this.countMax >= UNLIMITED.count && this.bytesMax >= UNLIMITED.bytes) this.hold(head, 'history');
    else this.counted.push({ ino, head, stampUs, isKnown });
  }

  /** What gave way last is kept first. */
  private visitCounted(): void {
    const counts = new Map<Ino, number>();
    let bytes = 0;
    for (const { ino, head, isKnown } of this.counted.toSorted((a, b) => b.stampUs - a.stampUs)) {
      const count = (counts.get(ino) ?? 0) + 1;
      counts.set(ino, count);
      if (count <= this.countMax) bytes += parseHead(head).size;
      if (count <= this.countMax && bytes <= this.bytesMax) this.hold(head, 'history');
      else if (!isKnown) this.hold(head, 'peers');
    }
  }

  /** When and by what the last name of an inode went; one that never had a name was gone when it was written. */
  private departureOf({ registers }: Inode): Departure {
    let departure: Departure | undefined;
    for (const [field, entries] of registers) {
      if (field.startsWith(LINK_PREFIX))
        for (const entry of entries) departure = this.later(departure, this.byOp(entry));
    }
    return (
      departure ??
      registers
        .get('head')!
        .map((entry) => this.byOp(entry))
        .reduce((a, b) => this.later(a, b))
    );
  }

  private byOp(entry: Entry): Departure {
    return {
      stampUs: entry.stamp,
      isKnown: this.known?.holdsOp(entry) ?? true,
      goneIn: this.snapshotsWithOp(entry),
    };
  }

  /** Gone when both happened. */
  private later(a: Departure | undefined, b: Departure): Departure {
    if (!a) return b;
    const stampUs = Math.max(a.stampUs, b.stampUs);
    return { stampUs, isKnown: a.isKnown && b.isKnown, goneIn: a.goneIn & b.goneIn };
  }

  private snapshotsWithOp(op: OpId): bigint {
    return this.bits((moment) => moment.holdsOp(op));
  }

  private bits(isIn: (moment: Moment) => boolean): bigint {
    let bits = 0n;
    for (const [i, moment] of this.snapshots.entries()) if (isIn(moment)) bits |= 1n << BigInt(i);
    return bits;
  }

  /** Versions that may be merged one day are merged on what they have in common. */
  private visitMergeBases(ino: Ino, heads: readonly HeadVersion[]): void {
    const known = this.history.versionsOf(ino);
    const versions: Version[] = [];
    for (const head of heads) {
      const version = known.version(head);
      if (version) versions.push(version);
    }
    this.visitCommon(versions, known, 0);
  }

  private visitCommon(versions: readonly Version[], known: FileVersions, depth: number): void {
    if (depth > MERGE_DEPTH_MAX) return;
    for (const [i, version] of versions.entries()) {
      for (const other of versions.slice(0, i)) {
        const common = nearestCommonVersions([other], [version], known, this.snapshot.actors) ?? [];
        for (const { head } of common) this.visit({ manifest: head.manifest, size: head.size, reason: 'merge' });
        if (common.length > 1) this.visitCommon(common, known, depth + 1);
      }
    }
  }

  /** Registers keep only what nobody overwrote: the rest is in the journal. Backwards, so that what overwrote comes first. */
  private visitOverwritten(): void {
    const departures = new Map<string, Departure>();
    for (const { actor, seq, bytes } of this.changesBackwards()) {
      const { ops, startOp, stamp } = decodeChange(bytes, Infinity);
      const isKnown = this.known?.holdsChange(actor, seq) ?? true;
      const snapshots = this.bits((moment) => moment.holdsChange(actor, seq));
      for (let i = ops.length - 1; i >= 0; i--) {
        const { key, value, pred } = ops[i]!;
        if (!key.endsWith('.head')) continue;
        const op = `${startOp + i}@${actor}`;
        const departure = departures.get(op);
        if (departure) {
          departures.delete(op);
          this.visitDeparted(parseKey(key).ino, String(value), snapshots, departure);
        }
        for (const base of pred) {
          // Any of those that overwrote it took it away; it is kept for the sake of each of them.
          const other = departures.get(base);
          departures.set(base, {
            stampUs: Math.max(stamp, other?.stampUs ?? 0),
            isKnown: isKnown && (other?.isKnown ?? true),
            goneIn: snapshots | (other?.goneIn ?? 0n),
          });
        }
      }
    }
    this.visitBase(departures);
  }

  /** What gave way lately may have been written before the journal begins. */
  private visitBase(departures: ReadonlyMap<string, Departure>): void {
    if (departures.size === 0) return;
    const { db, actors } = this.snapshot;
    for (const { inode } of new BaseRows(db).after(-1)) {
      const { ino, registers } = inode;
      for (const entry of registers.get('head') ?? []) {
        const departure = departures.get(`${entry.counter}@${actors.id(entry.actor)}`);
        // Whoever knows of a snapshot keeps all changes since: what was written before them is in it.
        if (departure)
          this.visitDeparted(
            ino,
            String(entry.value),
            this.bits(() => true),
            departure,
          );
      }
    }
  }

  private *changesBackwards(): Generator<{ actor: ActorId; seq: number; bytes: Buffer }> {
    type Row = [lsn: number, actor: number, seq: number, bytes: Buffer];
    const select = this.snapshot.db
      .prepare('select lsn, actor, seq, bytes from change where lsn < ? order by lsn desc limit ?')
      .raw();
    for (let before = Number.MAX_SAFE_INTEGER; ;) {
      const rows = select.all(before, CHANGES_PER_READ) as Row[];
      for (const [, actor, seq, bytes] of rows) yield { actor: this.snapshot.actors.id(actor), seq, bytes };
      if (rows.length < CHANGES_PER_READ) return;
      before = rows.at(-1)![0];
    }
  }
}

/** The changes up to a version vector. */
class Moment {
  /** By actor index: the highest operation. */
  private readonly lastOps = new Map<number, number>();

  constructor(
    snapshot: StateSnapshot,
    private readonly vector: VersionVector,
  ) {
    const { db, actors } = snapshot;
    const floor = snapshot.floorChanges();
    const select = db.prepare('select bytes from change where actor = ? and seq = ?').pluck();
    for (const [actor, seq] of vector) {
      const index = actors.indexOf(actor);
      if (index === undefined) continue;
      const below = floor.get(index);
      if (below && seq < below.seq) continue; // how far it goes is not known any more: as if nothing of the actor were in it
      const next = select.get(index, seq + 1) as Buffer | undefined;
      this.lastOps.set(index, next ? startOpOf(next) - 1 : Infinity);
    }
  }

  holdsChange(actor: ActorId, seq: number): boolean {
    return seq <= (this.vector.get(actor) ?? 0);
  }

  holdsOp({ actor, counter }: OpId): boolean {
    return counter <= (this.lastOps.get(actor) ?? 0);
  }
}

/** Whether a path leads to the inode, or would if another one that looks the same were not in its place. */
function isInTree({ nlink, registers }: Inode): boolean {
  if (nlink > 0) return true;
  for (const [field, entries] of registers) {
    if (field.startsWith(LINK_PREFIX) && entries.some(({ value }) => !isTombstone(value))) return true;
  }
  return false;
}

/** Where all of these stand: the lowest of each actor. */
export function commonVector(vectors: readonly VersionVector[]): Map<ActorId, number> {
  const [first, ...rest] = vectors;
  const common = new Map<ActorId, number>();
  for (const [actor, seq] of first ?? []) {
    const lowest = Math.min(seq, ...rest.map((vector) => vector.get(actor) ?? 0));
    if (lowest > 0) common.set(actor, lowest);
  }
  return common;
}

// truncating.ts — which changes the journal may drop, and when: what every site has (sync/stable-frontier.ts) and nothing here needs.
// Invariant: a change goes only if all of this says so: it is below the frontier that was asked for; it is older than the history
// that is kept; every snapshot has it; no version in conflict, and nothing that such versions have in common, comes from it or gave way by
// it. Once another site's version took the place of what a file that is open here is written on, that counts as in conflict, too, for as
// long as history is kept where nobody says otherwise. Work comes in slices; a crash between two loses nothing but work.

import type { Change, VersionVector } from '../crdt/change.js';
import { type Ino, type OpId, VOLUME_INO } from '../crdt/ids.js';
import { sameOp } from '../crdt/register.js';
import { retentionOf, snapshotsOf } from '../crdt/snapshots.js';
import { nearestCommonVersions, type Version } from '../crdt/version-graph.js';
import type { Journal } from '../journal/journal.js';
import { DEFAULT_AGE_S, retentionInForce, siteRetention } from '../journal/retention.js';
import type { OldestChange } from '../journal/truncation.js';
import type { VersionHistory } from '../journal/version-history.js';
import type { BaseTransfer } from './base-transfer.js';
import type { Folding } from './folding.js';

/** What other sites and the user say. */
export interface TruncationRequest {
  /** What every site that is waited for has made durable, this one included. */
  readonly frontier: VersionVector;
  /** How long this site keeps history, milliseconds; null: as the volume says. */
  readonly keepHistoryMs: number | null;
  /** Microseconds since 1970. */
  readonly nowUs: number;
}

/** Why the oldest change in the journal is still there. */
export type JournalHold =
  /** Some site is not known to have it. */
  | { readonly by: 'sites' }
  | { readonly by: 'history' }
  | { readonly by: 'snapshot'; readonly name: string }
  | { readonly by: 'conflict'; readonly ino: Ino }
  /** It is open here, and was written elsewhere meanwhile: what is written here yet can only be merged with that by what is before both. */
  | { readonly by: 'open'; readonly ino: Ino };

interface Limit {
  readonly hold: JournalHold;
  /** By local actor index: the highest seq that may go; others may not. */
  readonly seqs: ReadonlyMap<number, number>;
}

/** A version that must stay. */
interface NeededVersion {
  readonly hold: JournalHold;
  readonly version: OpId;
}

/** A file that is open here, or that was written here. */
export interface BasedWrites {
  readonly ino: Ino;
  /** What is written to it now, or would be, overwrites these versions. */
  readonly bases: readonly OpId[];
}

const US_PER_S = 1e6;
/** So many slices share a commit. */
const SLICES_PER_COMMIT = 32;

export class Truncating {
  private request: TruncationRequest | null = null;
  private limits: readonly Limit[] = [];
  private needed: NeededVersion[] = [];
  private keepFromUs = 0;
  /** What is older does not stay for files that are open. */
  private openFromUs = 0;
  /** Of those in conflict, which are still to be looked at; with the versions that they are written on, those that are open. */
  private unexamined: { readonly ino: Ino; readonly bases?: readonly OpId[] }[] = [];
  private slices = 0;
  private holding: JournalHold | null = null;

  constructor(
    private readonly journal: Journal,
    private readonly history: VersionHistory,
    private readonly folding: Folding,
    private readonly base: Pick<BaseTransfer, 'isUnderWay'>,
    private readonly written: () => Iterable<BasedWrites>,
  ) {}

  /** Drops what may go, in the slices to come. Without an argument: no more, until it is asked for again. */
  ask(request: TruncationRequest | null): void {
    this.request = request;
    if (!request) return;
    const { store, actors } = this.journal;
    const volume = store.inode(VOLUME_INO);
    const site = siteRetention(this.journal);
    const { keepHistoryMs, nowUs, frontier } = request;
    const { age } = retentionInForce(
      retentionOf(volume),
      keepHistoryMs === null ? site : { ...site, age: keepHistoryMs / 1000 },
    );
    // Where none is wanted, stamps that are still to come, of a clock that was ahead, hold nothing back.
    this.keepFromUs = age === 0 ? Infinity : nowUs - age * US_PER_S;
    const limitOf = (hold: JournalHold, vector: VersionVector): Limit => ({
      hold,
      seqs: new Map([...vector].map(([actor, seq]) => [actors.intern(actor), seq])),
    });
    this.limits = [
      limitOf({ by: 'sites' }, frontier),
      ...snapshotsOf(volume, actors).map(({ name, vector }) => limitOf({ by: 'snapshot', name }, vector)),
    ];
    this.openFromUs = nowUs - DEFAULT_AGE_S * US_PER_S;
    this.needed = [];
    const inConflict = new Set([...store.copies().values()].map(({ source }) => source));
    this.unexamined = [...[...inConflict].map((ino) => ({ ino })), ...this.written()];
  }

  /** Whether there is something to do. */
  get due(): boolean {
    return this.request !== null && !this.base.isUnderWay;
  }

  /** Why the oldest change was not dropped when that was tried last; null: there was none. */
  get heldBy(): JournalHold | null {
    return this.holding;
  }

  /** A slice. */
  work(isOver: () => boolean): void {
    if (!this.due || isOver()) return;
    for (let next = this.unexamined.pop(); next; next = this.unexamined.pop()) {
      if (next.bases) this.examineWritten(next.ino, next.bases);
      else this.examine(next.ino);
      if (isOver()) return;
    }
    this.holding = null;
    const more = this.journal.truncate((change) => this.mayGo(change), isOver);
    if (!more) this.request = null;
    if (!more || ++this.slices % SLICES_PER_COMMIT === 0) this.folding.commitSoon();
  }

  private mayGo(change: OldestChange): boolean {
    this.holding = this.holdOf(change);
    return this.holding === null;
  }

  private holdOf({ actor, seq, stamp, change }: OldestChange): JournalHold | null {
    if (stamp >= this.keepFromUs) return { by: 'history' };
    for (const { hold, seqs } of this.limits) if (seq > (seqs.get(actor) ?? 0)) return hold;
    if (this.needed.length === 0) return null;
    const { startOp, ops } = change();
    const gaveWay = this.versionsBefore(change());
    for (const { hold, version } of this.needed) {
      if (hold.by === 'open' && stamp < this.openFromUs) continue;
      const { counter } = version;
      const isIn = version.actor === actor && counter >= startOp && counter < startOp + ops.length;
      if (isIn || gaveWay.has(keyOf(version))) return hold;
    }
    return null;
  }

  /** What the registers would hold no longer, nor the journal any more. */
  private versionsBefore({ ops }: Change): Set<string> {
    const before = new Set<string>();
    for (const { key, pred } of ops)
      if (key.endsWith('.head')) for (const op of pred) before.add(keyOf(this.history.parseOp(op)));
    return before;
  }

  /** The versions of a file in conflict stay, and from where on they differ: a merge to come is made of these. */
  private examine(ino: Ino): void {
    const heads = this.journal.store.inode(ino)?.registers.get('head') ?? [];
    if (heads.length < 2) return;
    const kept: OpId[] = [...heads];
    const versions: Version[] = [];
    const known = this.history.versionsOf(ino);
    for (const head of heads) {
      const version = known.version(head);
      if (version) versions.push(version);
    }
    for (const [i, version] of versions.entries()) {
      for (const other of versions.slice(0, i)) {
        const common = nearestCommonVersions([other], [version], known, this.journal.actors);
        kept.push(...(common ?? []));
      }
    }
    for (const version of kept) this.needed.push({ hold: { by: 'conflict', ino }, version });
  }

  private examineWritten(ino: Ino, bases: readonly OpId[]): void {
    const heads = this.journal.store.inode(ino)?.registers.get('head') ?? [];
    for (const version of bases)
      if (!heads.some((head) => sameOp(head, version))) this.needed.push({ hold: { by: 'open', ino }, version });
  }
}

function keyOf({ counter, actor }: OpId): string {
  return `${counter}@${actor}`;
}

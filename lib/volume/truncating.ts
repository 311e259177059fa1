// truncating.ts — which changes the journal may drop, and when: what every site has (sync/stable-frontier.ts) and nothing here needs.
// Invariant: a change goes only if all of this says so: it is below the frontier that was asked for; it is older than the history
// that is kept; every snapshot has it; no version in conflict, and nothing that such versions have in common, comes from it. Work comes
// in slices; a crash between two loses nothing but work.

import type { VersionVector } from '../crdt/change.js';
import { type Ino, type OpId, VOLUME_INO } from '../crdt/ids.js';
import { retentionOf, snapshotsOf } from '../crdt/snapshots.js';
import { nearestCommonVersions, type Version } from '../crdt/version-graph.js';
import type { Journal } from '../journal/journal.js';
import { retentionInForce, siteRetention } from '../journal/retention.js';
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
  | { readonly by: 'conflict'; readonly ino: Ino };

interface Limit {
  readonly hold: JournalHold;
  /** By local actor index: the highest seq that may go; others may not. */
  readonly seqs: ReadonlyMap<number, number>;
}

/** A version that must stay. */
interface ConflictLimit {
  readonly ino: Ino;
  readonly version: OpId;
}

const US_PER_S = 1e6;
/** So many slices share a commit. */
const SLICES_PER_COMMIT = 32;

export class Truncating {
  private request: TruncationRequest | null = null;
  private limits: readonly Limit[] = [];
  private conflicts: ConflictLimit[] = [];
  private keepFromUs = 0;
  /** Of those in conflict, which are still to be looked at. */
  private unexamined: Ino[] = [];
  private slices = 0;
  private holding: JournalHold | null = null;

  constructor(
    private readonly journal: Journal,
    private readonly history: VersionHistory,
    private readonly folding: Folding,
    private readonly base: Pick<BaseTransfer, 'isUnderWay'>,
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
    this.conflicts = [];
    this.unexamined = [...new Set([...store.copies().values()].map(({ source }) => source))];
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
    for (let ino = this.unexamined.pop(); ino !== undefined; ino = this.unexamined.pop()) {
      this.examine(ino);
      if (isOver()) return;
    }
    this.holding = null;
    const more = this.journal.truncate((change) => this.mayGo(change), isOver);
    if (!more) this.request = null;
    if (!more || ++this.slices % SLICES_PER_COMMIT === 0) this.folding.commitSoon();
  }

  private mayGo({ actor, seq, stamp, lastOp }: OldestChange): boolean {
    this.holding = this.holdOf(actor, seq, stamp, lastOp);
    return this.holding === null;
  }

  private holdOf(actor: number, seq: number, stamp: number, lastOp: () => number): JournalHold | null {
    if (stamp >= this.keepFromUs) return { by: 'history' };
    for (const { hold, seqs } of this.limits) if (seq > (seqs.get(actor) ?? 0)) return hold;
    for (const { ino, version } of this.conflicts)
      if (version.actor === actor && version.counter <= lastOp()) return { by: 'conflict', ino };
    return null;
  }

  /** The versions of a file in conflict stay, and from where on they differ: a merge to come is made of these. */
  private examine(ino: Ino): void {
    const heads = this.journal.store.inode(ino)?.registers.get('head') ?? [];
    if (heads.length < 2) return;
    const kept: OpId[] = [...heads];
    const versions: Version[] = [];
    const versionOf = this.history.versionsOf(ino);
    for (const head of heads) {
      const version = versionOf(head);
      if (version) versions.push(version);
    }
    for (const [i, version] of versions.entries()) {
      for (const other of versions.slice(0, i)) {
        const common = nearestCommonVersions([other], [version], versionOf, this.journal.actors);
        kept.push(...(common ?? []));
      }
    }
    for (const version of kept) this.conflicts.push({ ino, version });
  }
}

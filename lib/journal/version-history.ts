// version-history.ts — the versions of files that were overwritten: from the journal, for registers keep only what is current.
// Invariant: what the journal holds of an operation, not the open commit; of what was dropped, those versions of a file that were its
// current ones there. Found by binary search: the changes of an actor are numbered without gaps, and so are their operations in that order.

import { LRUCache } from 'lru-cache';
import type { Change, VersionVector } from '../crdt/change.js';
import { parseHead, parseOp } from '../crdt/fields.js';
import type { ActorTable, Ino, OpId } from '../crdt/ids.js';
import type { TreeStore } from '../crdt/tree-store.js';
import type { FileVersions, Version } from '../crdt/version-graph.js';
import { BaseRows } from './base-rows.js';
import { decodeChange, startOpOf } from './change-codec.js';
import type { FloorChange } from './floor.js';
import { GenerationCache } from './generation-cache.js';
import type { Connection, Statement } from './schema.js';

/** No operation has this number. */
const UNKNOWN: OpId = { counter: 0, actor: 0 };
const VERSIONS_REMEMBERED = 10_000;
/** Operations of decoded changes that are remembered: files that were written together are asked for together. */
const OPS_REMEMBERED = 100_000;

/** A journal, or one commit of it seen from another thread. */
export interface HistorySource {
  readonly db: Connection;
  readonly actors: ActorTable;
  /** Highest seq held of each actor. */
  vector(): VersionVector;
  /** The changes that were dropped: the last of each actor, by its index. */
  floorChanges(): ReadonlyMap<number, FloorChange>;
  readonly store: Pick<TreeStore, 'inode'>;
}

export class VersionHistory {
  private readonly selectBytes: Statement;
  private readonly base: BaseRows;
  private readonly known = new GenerationCache<string, Version>(VERSIONS_REMEMBERED);
  /** First operations of changes. */
  private readonly starts = new GenerationCache<string, number>(VERSIONS_REMEMBERED);
  private readonly changes = new LRUCache<string, Change>({
    maxSize: OPS_REMEMBERED,
    sizeCalculation: ({ ops }) => ops.length + 1,
  });

  constructor(private readonly journal: HistorySource) {
    this.selectBytes = journal.db.prepare('select bytes from change where actor = ? and seq = ?').pluck();
    this.base = new BaseRows(journal.db);
  }

  /** The version that an operation wrote; undefined when it is not in the journal, or wrote no version. */
  readonly version = (op: OpId): Version | undefined => {
    // Some of what was dropped is remembered, and some not: to say that one is known while what goes back to it is not would mislead.
    if (this.isDropped(op)) return undefined;
    const key = `${op.counter}@${op.actor}`;
    let version = this.known.get(key);
    if (!version) {
      version = this.read(op);
      if (version) this.known.set(key, version);
    }
    return version;
  };

  /**
   * As {@link version}, for the versions of one file. Of one in the base it is not known what it overwrote: what everybody holds and goes
   * on from is there. What was dropped and is not in the base was overwritten there, and whatever did that, too, but for what is there.
   */
  versionsOf(ino: Ino): FileVersions {
    /** A version is one object, for who compares. */
    let old: Map<string, Version> | undefined;
    const inBase = (op: OpId): Map<string, Version> | undefined =>
      op === UNKNOWN || this.isDropped(op) ? (old ??= this.inBase(ino)) : undefined;
    return {
      version: (op) => this.version(op) ?? inBase(op)?.get(`${op.counter}@${op.actor}`),
      heirs: (op) => [...(inBase(op)?.values() ?? [])],
      isBornTwice: (this.journal.store.inode(ino)?.registers.get('born')?.length ?? 0) > 1,
    };
  }

  private isDropped({ counter, actor }: OpId): boolean {
    return counter <= (this.journal.floorChanges().get(actor)?.op ?? 0);
  }

  private inBase(ino: Ino): Map<string, Version> {
    const heads = this.base.read(ino)?.registers.get('head');
    const versions = new Map<string, Version>();
    for (const { counter, actor, stamp, value } of heads ?? [])
      versions.set(`${counter}@${actor}`, { counter, actor, stamp, head: parseHead(value), preds: [UNKNOWN] });
    return versions;
  }

  /** `counter@actor` */
  readonly parseOp = (text: string): OpId => parseOp(text, this.journal.actors);

  private read({ counter, actor }: OpId): Version | undefined {
    const { actors } = this.journal;
    let low = (this.journal.floorChanges().get(actor)?.seq ?? 0) + 1;
    let high = this.journal.vector().get(actors.id(actor)) ?? 0;
    if (high < low) return undefined;
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if (this.startOf(actor, middle) <= counter) low = middle;
      else high = middle - 1;
    }
    const { startOp, stamp, ops } = this.change(actor, low);
    const op = ops[counter - startOp];
    if (!op?.key.endsWith('.head')) return undefined;
    const preds = op.pred.map((id) => this.parseOp(id));
    return { counter, actor, stamp, head: parseHead(op.value), preds };
  }

  private startOf(actor: number, seq: number): number {
    const key = `${seq}@${actor}`;
    let start = this.starts.get(key);
    if (start === undefined) {
      start = startOpOf(this.bytesOf(actor, seq));
      this.starts.set(key, start);
    }
    return start;
  }

  private change(actor: number, seq: number): Change {
    const key = `${seq}@${actor}`;
    let change = this.changes.get(key);
    if (!change) {
      change = decodeChange(this.bytesOf(actor, seq), Infinity);
      this.changes.set(key, change);
    }
    return change;
  }

  private bytesOf(actor: number, seq: number): Buffer {
    const bytes = this.selectBytes.get(actor, seq) as Buffer | undefined;
    if (!bytes) throw new Error(`change ${seq} of actor ${this.journal.actors.id(actor)} is not in the journal`);
    return bytes;
  }
}

// floor.ts — where the journal of this site begins: the changes up to here are not in it any more; what they add up to is in `base`.
// Invariant: the floor is closed under what changes build on, and `base` (base-registers.ts) holds the registers that exactly these
// changes make. Whoever has the base and the changes behind the floor has what all changes make. Every change in the journal stands
// behind `lsn`. Part of the journal's open transaction.

import type { Change, VersionVector } from '../crdt/change.js';
import type { ActorId, ActorTable } from '../crdt/ids.js';
import type { LocalDot } from './dots.js';
import { checkRow, rowSum } from './row-sum.js';
import type { Connection, Statement } from './schema.js';

/** The last change of an actor that is below the floor. */
export interface FloorChange {
  readonly seq: number;
  /** The counter of its last operation. */
  readonly op: number;
  /** SHA-256 hex. */
  readonly hash: string;
}

/** Where the journal begins, but for the actors. */
export interface FloorMark {
  /** The place of the last change that was dropped; 0 when none was. */
  readonly lsn: number;
  /** The latest stamp below the floor, microseconds since 1970. */
  readonly stamp: number;
  /** Hashes of the changes below the floor that no other one below it builds on, ascending. */
  readonly heads: readonly string[];
  /** Counts the times that the base came from another site: what is derived from changes is then made anew. */
  readonly generation: number;
}

/** The key of the mark among the journal's texts. */
export const FLOOR_KEY = 'floor';
export const NO_FLOOR: FloorMark = { lsn: 0, stamp: 0, heads: [], generation: 0 };

/** A set of changes that is closed under what they build on. */
export interface HeadsSide {
  /** Hashes of those that no other of them builds on. */
  readonly heads: ReadonlySet<string>;
  readonly covers: (dot: LocalDot) => boolean;
}

/** The heads of two such sets together. `dotOf`: where a head of either stands. */
export function joinHeads(a: HeadsSide, b: HeadsSide, dotOf: (hash: string) => LocalDot | undefined): Set<string> {
  const joined = new Set<string>();
  for (const [side, other] of [
    [a, b],
    [b, a],
  ] as const) {
    for (const hash of side.heads) {
      const dot = dotOf(hash);
      // Another one of the other set builds on it.
      if (dot && other.covers(dot) && !other.heads.has(hash)) continue;
      joined.add(hash);
    }
  }
  return joined;
}

type FloorRow = [actor: number, seq: number, op: number, hash: Buffer, sum: number];

export function parseFloorMark(text: string | undefined): FloorMark {
  return text === undefined ? NO_FLOOR : (JSON.parse(text) as FloorMark);
}

/** By local actor index. */
export function readFloor(db: Connection): Map<number, FloorChange> {
  const floor = new Map<number, FloorChange>();
  const rows = db.prepare('select actor, seq, op, hash, sum from floor order by actor').raw().all() as FloorRow[];
  for (const [actor, seq, op, hash, sum] of rows) {
    checkRow(() => `floor of actor ${actor}`, sum, actor, seq, op, hash);
    floor.set(actor, { seq, op, hash: hash.toString('hex') });
  }
  return floor;
}

export class Floor {
  private readonly last: Map<number, FloorChange>;
  private mark: FloorMark;
  private heads: Set<string>;
  private readonly changed = new Set<number>();
  private readonly put: Statement;

  constructor(
    db: Connection,
    mark: string | undefined,
    private readonly saveMark: (text: string) => void,
  ) {
    this.last = readFloor(db);
    this.mark = parseFloorMark(mark);
    this.heads = new Set(this.mark.heads);
    this.put = db.prepare('replace into floor(actor, seq, op, hash, sum) values (?, ?, ?, ?, ?)');
  }

  get lsn(): number {
    return this.mark.lsn;
  }

  get generation(): number {
    return this.mark.generation;
  }

  get stamp(): number {
    return this.mark.stamp;
  }

  /** Whether a change is below the floor. */
  covers({ actor, seq }: LocalDot): boolean {
    return seq <= (this.last.get(actor)?.seq ?? 0);
  }

  /** By local actor index. */
  get changes(): ReadonlyMap<number, FloorChange> {
    return this.last;
  }

  vector(actors: ActorTable): VersionVector {
    const vector = new Map<ActorId, number>();
    for (const [actor, { seq }] of this.last) vector.set(actors.id(actor), seq);
    return vector;
  }

  /** The change at this place is below the floor from now on. {@link save} follows. */
  pass(lsn: number, actor: number, change: Change): void {
    const { seq, startOp, ops, hash, deps, stamp } = change;
    this.last.set(actor, { seq, op: startOp + ops.length - 1, hash });
    this.changed.add(actor);
    for (const dep of deps) this.heads.delete(dep);
    this.heads.add(hash);
    this.mark = { ...this.mark, lsn, stamp: Math.max(this.mark.stamp, stamp) };
  }

  /**
   * From now on what is below the floor of another site is below this one too. {@link save} follows.
   * @param lsn behind which the changes are that are left
   */
  join(changes: ReadonlyMap<number, FloorChange>, heads: readonly string[], stamp: number, lsn: number): void {
    const other: HeadsSide = {
      heads: new Set(heads),
      covers: ({ actor, seq }) => seq <= (changes.get(actor)?.seq ?? 0),
    };
    const dots = new Map<string, LocalDot>();
    for (const floor of [this.last, changes])
      for (const [actor, { seq, hash }] of floor) dots.set(hash, { actor, seq });
    this.heads = joinHeads({ heads: this.heads, covers: (dot) => this.covers(dot) }, other, (hash) => dots.get(hash));
    for (const [actor, change] of changes) {
      if (change.seq <= (this.last.get(actor)?.seq ?? 0)) continue;
      this.last.set(actor, change);
      this.changed.add(actor);
    }
    const { generation } = this.mark;
    this.mark = { lsn, stamp: Math.max(this.mark.stamp, stamp), heads: [], generation: generation + 1 };
  }

  save(): void {
    for (const actor of this.changed) {
      const { seq, op, hash } = this.last.get(actor)!;
      const cells = [actor, seq, op, Buffer.from(hash, 'hex')] as const;
      this.put.run(...cells, rowSum(...cells));
    }
    this.changed.clear();
    this.mark = { ...this.mark, heads: [...this.heads].toSorted() };
    this.saveMark(JSON.stringify(this.mark));
  }
}

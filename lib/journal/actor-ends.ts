// actor-ends.ts — the last change that is held of each actor: its number and its hash, kept in the table `actor`.
// Invariant: an actor's row has its local index, so indexes are never given anew; rows that changed are written with the next commit.

import { CorruptionError } from '../codec/bytes.js';
import type { VersionVector } from '../crdt/change.js';
import { type ActorId, ActorTable } from '../crdt/ids.js';
import type { LocalDot } from './dots.js';
import { checkRow, rowSum } from './row-sum.js';
import type { Connection, Statement } from './schema.js';

type Row = [index: number, id: ActorId, seq: number, hash: Buffer | null, sum: number];

export class ActorEnds {
  /** Interned actors. New ones are kept with the next commit. */
  readonly table = new ActorTable();
  private readonly seqs = new Map<ActorId, number>();
  private readonly hashes = new Map<ActorId, string>();
  private readonly dots = new Map<string, LocalDot>();
  /** Actors whose row is not what it should be; those from `kept` up have none. */
  private readonly changed = new Set<number>();
  private kept: number;
  private readonly put: Statement;

  /** @throws CorruptionError naming the row, in the file `path`, that is damaged */
  constructor(db: Connection, path: string) {
    this.put = db.prepare('replace into actor(id, name, last_seq, last_hash, sum) values (?, ?, ?, ?, ?)');
    for (const [index, id, seq, hash, sum] of db.prepare('select * from actor order by id').raw().all() as Row[]) {
      checkRow(() => `${path}: actor ${index}`, sum, index, id, seq, hash);
      if (this.table.intern(id) !== index) throw new CorruptionError(`${path}: actor ${id} is out of its place`);
      if (seq > 0) this.seqs.set(id, seq);
      if (hash) this.noteHash(id, { actor: index, seq }, hash.toString('hex'));
    }
    this.kept = this.table.size;
  }

  /** The number of the last change of each. Follows what is noted. */
  get vector(): VersionVector {
    return this.seqs;
  }

  /** 0: there is none. */
  seqOf(actor: ActorId): number {
    return this.seqs.get(actor) ?? 0;
  }

  hashOf(actor: ActorId): string | undefined {
    return this.hashes.get(actor);
  }

  /** Where the change of this hash stands, if it is the last one of its actor. */
  dotOf(hash: string): LocalDot | undefined {
    return this.dots.get(hash);
  }

  /** A change is the last one of its actor now. */
  note(dot: LocalDot, hash: string): void {
    const id = this.table.id(dot.actor);
    this.seqs.set(id, dot.seq);
    this.noteHash(id, dot, hash);
    this.changed.add(dot.actor);
  }

  private noteHash(id: ActorId, dot: LocalDot, hash: string): void {
    const before = this.hashes.get(id);
    if (before !== undefined) this.dots.delete(before);
    this.hashes.set(id, hash);
    this.dots.set(hash, dot);
  }

  /** Part of the open transaction. */
  write(): void {
    for (; this.kept < this.table.size; this.kept++) this.changed.add(this.kept);
    for (const index of this.changed) {
      const id = this.table.id(index);
      const hash = this.hashes.get(id);
      const cells = [index, id, this.seqOf(id), hash === undefined ? null : Buffer.from(hash, 'hex')] as const;
      this.put.run(...cells, rowSum(...cells));
    }
    this.changed.clear();
  }
}

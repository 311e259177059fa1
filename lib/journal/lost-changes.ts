// lost-changes.ts — changes whose bytes were damaged on this site's disk.
// Invariant: what such a change did is in the registers, for it was applied before; only its bytes are gone. So it keeps its place in
// the journal, counts as held by whatever builds on it here, and is not handed on: the vector that other sites see ends before it,
// and so one that has it sends it again. Memory and SQLite hold the same.

import { hash as hashOf } from 'node:crypto';
import { CorruptionError } from '../codec/bytes.js';
import type { Change, VersionVector } from '../crdt/change.js';
import type { ActorId, ActorTable } from '../crdt/ids.js';
import { TYPE_AT } from './change-format.js';
import { encodeDots, type LocalDot } from './dots.js';
import type { Connection, Statement } from './schema.js';

/** A change in the journal is not what its hash says. */
export class DamagedChange extends CorruptionError {
  constructor(
    readonly actor: ActorId,
    readonly seq: number,
  ) {
    super(`change ${seq} of actor ${actor}: its bytes in the journal are not what its hash says`);
    this.name = 'DamagedChange';
  }
}

/** Whether the bytes of a change are those that `hash`, its SHA-256, names. */
export function isIntactChange(hash: Buffer, bytes: Buffer): boolean {
  // What kind of value SQLite gives is part of the row, and can be damaged.
  if (!Buffer.isBuffer(bytes) || !Buffer.isBuffer(hash)) return false;
  return bytes.length > TYPE_AT && hashOf('sha256', bytes.subarray(TYPE_AT), 'hex') === hash.toString('hex');
}

interface LostChange extends LocalDot {
  readonly lsn: number;
}

type LostRow = [lsn: number, actor: number, seq: number, hash: Buffer];

export class LostChanges {
  private readonly byHash = new Map<string, LostChange>();
  private readonly selectChange: Statement;
  private readonly removeChange: Statement;
  private readonly insertChange: Statement;
  private readonly insertLost: Statement;
  private readonly removeLost: Statement;

  constructor(db: Connection) {
    this.selectChange = db.prepare('select lsn, hash, bytes from change where actor = ? and seq = ?').raw();
    this.removeChange = db.prepare('delete from change where lsn = ?');
    this.insertChange = db.prepare(
      'insert into change(lsn, actor, seq, hash, stamp, bytes, deps) values (?, ?, ?, ?, ?, ?, ?)',
    );
    this.insertLost = db.prepare('insert into lost_change(lsn, actor, seq, hash) values (?, ?, ?, ?)');
    this.removeLost = db.prepare('delete from lost_change where lsn = ?');
    const rows = db.prepare('select lsn, actor, seq, hash from lost_change').raw().all() as LostRow[];
    for (const [lsn, actor, seq, hash] of rows) this.byHash.set(hash.toString('hex'), { lsn, actor, seq });
  }

  get size(): number {
    return this.byHash.size;
  }

  /** Where a lost change stands; undefined when it is none. */
  find(hash: string): LocalDot | undefined {
    return this.byHash.get(hash);
  }

  /** A vector that ends, for each actor, before the first of its changes that is lost. */
  lower(vector: VersionVector, actors: ActorTable): VersionVector {
    const lowered = new Map(vector);
    for (const { actor, seq } of this.byHash.values()) {
      const id = actors.id(actor);
      lowered.set(id, Math.min(lowered.get(id) ?? 0, seq - 1));
    }
    return lowered;
  }

  /** Gives up those that `isGone`: others have dropped them too. The rest stand at other places. */
  move(isGone: (dot: LocalDot) => boolean, placeOf: (lsn: number) => number): void {
    const all = [...this.byHash];
    for (const [, { lsn }] of all) this.removeLost.run(lsn);
    for (const [hash, lost] of all) {
      this.byHash.delete(hash);
      if (isGone(lost)) continue;
      const lsn = placeOf(lost.lsn);
      this.insertLost.run(lsn, lost.actor, lost.seq, Buffer.from(hash, 'hex'));
      this.byHash.set(hash, { ...lost, lsn });
    }
  }

  /** The places of all, ascending. */
  places(): { readonly lsn: number; readonly actor: number; readonly seq: number }[] {
    return [...this.byHash.values()].toSorted((a, b) => a.lsn - b.lsn);
  }

  /** Whether the bytes of a change are there and intact; damaged ones are lost from now on. */
  verify(actor: number, seq: number): boolean {
    const row = this.selectChange.get(actor, seq) as [lsn: number, hash: Buffer, bytes: Buffer] | undefined;
    if (!row) return false;
    const [lsn, hash, bytes] = row;
    if (isIntactChange(hash, bytes)) return true;
    this.removeChange.run(lsn);
    this.insertLost.run(lsn, actor, seq, hash);
    this.byHash.set(hash.toString('hex'), { lsn, actor, seq });
    return false;
  }

  /**
   * Puts the bytes of a lost change where they were. `change` is what they say, `deps` where those stand that it builds on.
   * @returns false when it is none of these
   */
  restore(bytes: Uint8Array, change: Change, deps: readonly LocalDot[]): boolean {
    const lost = this.byHash.get(change.hash);
    if (!lost) return false;
    const hash = Buffer.from(change.hash, 'hex');
    this.insertChange.run(lost.lsn, lost.actor, change.seq, hash, change.stamp, bytes, encodeDots(deps));
    this.removeLost.run(lost.lsn);
    this.byHash.delete(change.hash);
    return true;
  }
}

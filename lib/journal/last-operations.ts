// last-operations.ts — the number of the last operation of changes: what says how far a change that builds on them may go on.
// Those of the changes that came last are remembered, because the next ones build on these; others are read.

import type { Change } from '../crdt/change.js';
import { decodeChange, lastOpOf } from './change-codec.js';
import type { Floor } from './floor.js';
import { isIntactChange } from './lost-changes.js';
import type { Connection, Statement } from './schema.js';

/** Enough for the heads of all sites that are at work. */
const REMEMBERED = 4096;
/** More than any change expands to that was appended. */
const MAX_CHANGE_BYTES = 64 * 2 ** 20;

export class LastOperations {
  private readonly known = new Map<string, number>();
  private readonly selectBytes: Statement;
  private readonly selectLast: Statement;

  constructor(
    db: Connection,
    private readonly floor: Floor,
  ) {
    this.selectBytes = db.prepare('select bytes from change where hash = ?').pluck();
    this.selectLast = db
      .prepare('select bytes from change where actor = ? and seq <= ? order by seq desc limit 1')
      .pluck();
  }

  note(hash: string, last: number): void {
    this.known.set(hash, last);
    if (this.known.size > REMEMBERED) this.known.delete(this.known.keys().next().value!);
  }

  /** Of a change; undefined where its bytes were dropped, or are damaged. */
  of(hash: string): number | undefined {
    let last = this.known.get(hash);
    if (last === undefined) {
      const change = this.changeOf(hash);
      if (!change) return undefined;
      this.note(hash, (last = change.startOp + change.ops.length - 1));
    }
    return last;
  }

  /** Of an actor up to a change, as far as its changes are here intact. */
  by(actor: number, seq: number): number {
    const bytes = this.selectLast.get(actor, seq) as Buffer | undefined;
    return Math.max(bytes ? lastOpOf(bytes) : 0, this.floor.changes.get(actor)?.op ?? 0);
  }

  /** A change in the journal; undefined where its bytes were dropped, or are damaged. */
  changeOf(hash: string): Change | undefined {
    const hashBytes = Buffer.from(hash, 'hex');
    const bytes = this.selectBytes.get(hashBytes) as Buffer | undefined;
    return bytes !== undefined && isIntactChange(hashBytes, bytes) ? decodeChange(bytes, MAX_CHANGE_BYTES) : undefined;
  }
}

// progress.ts — the one row of state.db that says where the state ends: how much of the intent log is in it, where the document stands,
// which inode numbers are reserved, and the number of the commit.
// Invariant: written with every commit, so it is of the same moment as all else in the state.

import { CorruptionError } from '../codec/bytes.js';
import type { Lsn } from './intent-log.js';
import { commitsOf, progressMark } from './log-fit.js';
import { checkRow, rowSum } from './row-sum.js';
import type { Connection, Statement } from './schema.js';

export interface Progress {
  /** What of the intent log is in the state. */
  readonly foldedLsn: Lsn;
  /** Highest operation counter of the document. */
  readonly maxOp: number;
  /** Hashes of the changes that no other builds on. */
  readonly heads: ReadonlySet<string>;
  /** Bytes of all changes. */
  readonly journalBytes: number;
  /** What inode numbers of this site are made of: up to here they are reserved. */
  readonly sequence: number;
}

interface Row {
  readonly folded_lsn: number;
  readonly max_op: number;
  readonly heads: Buffer;
  readonly journal_bytes: number;
  readonly sequence: number;
  readonly mark: Buffer;
  readonly sum: number;
}

const HASH_BYTES = 32;

export class ProgressRow {
  /** As it was when the state was opened. */
  readonly atOpen: Progress;
  private count: number;
  private readonly put: Statement;

  /** @throws CorruptionError naming the file */
  constructor(db: Connection, path: string) {
    const row = db.prepare('select * from progress').get() as Row | undefined;
    const what = (): string => `${path}: where the state ends`;
    if (!row) throw new CorruptionError(`${what()} is not known any more`);
    const { folded_lsn, max_op, heads, journal_bytes, sequence, mark, sum } = row;
    checkRow(what, sum, folded_lsn, max_op, heads, journal_bytes, sequence, mark);
    this.count = commitsOf(mark);
    this.atOpen = {
      foldedLsn: folded_lsn,
      maxOp: max_op,
      heads: new Set(splitHashes(heads)),
      journalBytes: journal_bytes,
      sequence,
    };
    this.put = db.prepare(
      'update progress set folded_lsn = ?, max_op = ?, heads = ?, journal_bytes = ?, sequence = ?, mark = ?, sum = ? where id = 1',
    );
  }

  /** Commits of this state so far, over all starts. */
  get commits(): number {
    return this.count;
  }

  /** Part of the open transaction, which {@link committed} follows. */
  write({ foldedLsn, maxOp, heads, journalBytes, sequence }: Progress): void {
    const mark = progressMark(this.count + 1);
    const cells = [foldedLsn, maxOp, joinHashes(heads), journalBytes, sequence, mark] as const;
    this.put.run(...cells, rowSum(...cells));
  }

  committed(): void {
    this.count++;
  }
}

function joinHashes(hashes: ReadonlySet<string>): Buffer {
  return Buffer.from([...hashes].join(''), 'hex');
}

function splitHashes(bytes: Buffer): string[] {
  const hashes: string[] = [];
  for (let at = 0; at < bytes.length; at += HASH_BYTES) hashes.push(bytes.toString('hex', at, at + HASH_BYTES));
  return hashes;
}

// base-rows.ts — reads the base: the registers that the changes below the floor make (base-registers.ts), wherever they stand.
// Invariant: an inode is in `base` or in a block of removed ones (removed-inodes.ts), never in both. Several reads belong to one commit
// only within a transaction of the caller's.

import { ByteWriter } from '../codec/bytes.js';
import type { Ino } from '../crdt/ids.js';
import { decodeInode, encodeInode } from '../crdt/inode-codec.js';
import type { Entry, Timestamp } from '../crdt/inode.js';
import { Inode } from '../crdt/inode.js';
import { RemovedInodes } from './removed-inodes.js';
import { sealOf, unseal } from './row-sum.js';
import type { Connection, Statement } from './schema.js';

const NO_TIME: Timestamp = { s: 0, ns: 0 };
const ROWS_PER_READ = 256;

/** Registers alone, without what a tree derives from them. */
export function bareInode(ino: Ino, registers: ReadonlyMap<string, readonly Entry[]> = new Map()): Inode {
  return new Inode(ino, new Map(registers), 0, NO_TIME, NO_TIME);
}

/** @throws CorruptionError */
export function decodeBase(ino: Ino, state: Buffer): Inode {
  return decodeInode(ino, unseal(`base of inode ${ino}`, ino, state));
}

/** The bytes of a row, valid until the next call with this writer. */
export function encodeBase(writer: ByteWriter, inode: Inode): Uint8Array {
  encodeInode(writer.reset(), inode);
  writer.u32(sealOf(inode.ino, writer.view()));
  return writer.view();
}

/** An inode of the base, and about how many bytes it takes. */
export interface BaseRow {
  readonly inode: Inode;
  readonly bytes: number;
}

export class BaseRows {
  private readonly removed: RemovedInodes;
  private readonly select: Statement;
  private readonly selectAfter: Statement;
  private readonly selectCount: Statement;

  constructor(db: Connection) {
    this.removed = new RemovedInodes(db);
    this.select = db.prepare('select state from base where ino = ?').pluck();
    this.selectAfter = db
      .prepare(
        `select ino, state from base where ino > @last union all select ino, null from removed where ino > @last
         order by ino limit ${ROWS_PER_READ}`,
      )
      .raw();
    this.selectCount = db.prepare('select (select count(*) from base) + (select count(*) from removed)').pluck();
  }

  /** Undefined when nothing below the floor is of it. @throws CorruptionError */
  read(ino: Ino): Inode | undefined {
    const state = this.select.get(ino) as Buffer | undefined;
    if (state) return decodeBase(ino, state);
    const removed = this.removed.read(ino);
    return removed && bareInode(ino, removed.registers);
  }

  /** Those behind an inode, ascending. @throws CorruptionError */
  *after(last: Ino): Generator<BaseRow> {
    for (;;) {
      // A page at a time: better-sqlite3 runs nothing else on a connection while a statement is being stepped.
      const rows = this.selectAfter.all({ last }) as [Ino, Buffer | null][];
      for (const [ino, state] of rows) {
        if (state) yield { inode: decodeBase(ino, state), bytes: state.length };
        else {
          const removed = this.removed.bytes(ino)!;
          yield { inode: bareInode(ino, decodeInode(ino, removed).registers), bytes: removed.length };
        }
      }
      if (rows.length < ROWS_PER_READ) return;
      last = rows.at(-1)![0];
    }
  }

  count(): number {
    return this.selectCount.get() as number;
  }
}

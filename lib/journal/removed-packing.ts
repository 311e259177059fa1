// removed-packing.ts — puts removed inodes that nothing in the journal is about any more into blocks (removed-inodes.ts), and takes those
// out again of which the base comes to say more.
// Invariant: an inode is packed only while its rows in `inode` and in `base` have the same registers and it has no name, so that
// the block says what both said. Which are to be looked at stands in `removed_due`: those with no name of which the base changed.
// Part of the journal's open transaction: a crash leaves the rows or the block.

import { ByteWriter } from '../codec/bytes.js';
import type { Ino } from '../crdt/ids.js';
import { VOLUME_INO } from '../crdt/ids.js';
import { decodeInode, encodeInode } from '../crdt/inode-codec.js';
import type { Inode } from '../crdt/inode.js';
import { sameOp } from '../crdt/register.js';
import { bareInode, decodeBase, encodeBase } from './base-rows.js';
import { encodeBlock, RemovedInodes } from './removed-inodes.js';
import { sealOf, unseal } from './row-sum.js';
import type { Connection, Statement } from './schema.js';

export interface RemovedPackingOptions {
  /** Inodes of a block: some 1.5 ms of work, and 6 KB. Twice as many would save no page. */
  readonly perBlock?: number;
  /** So many wait before they are packed, in the order of their numbers: who reads all of them in that order then meets few blocks at once. */
  readonly waiting?: number;
}

const DEFAULT_PER_BLOCK = 64;
const DEFAULT_WAITING = 4096;
/** A block of which no more than this part is left is given up. */
const LEAST_LEFT = 1 / 4;
/** Of a row in `inode`: a file without a name, whose links are with the rest. How it begins: see lib/crdt/inode-codec.ts. */
export const IS_REMOVED = `inode.ino <> ${VOLUME_INO} and substr(inode.state, 1, 2) = x'0100'`;

export class RemovedPacking {
  private readonly perBlock: number;
  private readonly waiting: number;
  private readonly removed: RemovedInodes;
  private readonly writer = new ByteWriter(1024);
  private isPacking = false;

  private readonly insertDue: Statement;
  private readonly countDue: Statement;
  private readonly selectDue: Statement;
  private readonly removeDue: Statement;
  private readonly selectRows: Statement;
  private readonly nextId: Statement;
  private readonly putBlock: Statement;
  private readonly put: Statement;
  private readonly removeInode: Statement;
  private readonly removeBase: Statement;
  private readonly take: Statement;
  private readonly lower: Statement;
  private readonly removeBlock: Statement;
  private readonly keepInode: Statement;
  private readonly putBase: Statement;
  private readonly isIn: Statement;

  constructor(db: Connection, { perBlock, waiting }: RemovedPackingOptions = {}) {
    this.perBlock = perBlock ?? DEFAULT_PER_BLOCK;
    this.waiting = waiting ?? DEFAULT_WAITING;
    this.removed = new RemovedInodes(db);
    this.insertDue = db.prepare(
      `insert or ignore into removed_due(ino) select ino from inode where ino = ? and ${IS_REMOVED}`,
    );
    this.countDue = db.prepare('select count(*) from (select 1 from removed_due limit ?)').pluck();
    this.selectDue = db.prepare('select ino from removed_due order by ino limit ?').pluck();
    this.removeDue = db.prepare('delete from removed_due where ino = ?');
    this.selectRows = db
      .prepare(`select inode.state, base.state from inode join base using (ino) where ino = ? and ${IS_REMOVED}`)
      .raw();
    this.nextId = db.prepare('select ifnull(max(id), 0) + 1 from removed_block').pluck();
    this.putBlock = db.prepare('insert into removed_block(id, live, state) values (?, ?, ?)');
    this.put = db.prepare('insert into removed(ino, block) values (?, ?)');
    this.removeInode = db.prepare('delete from inode where ino = ?');
    this.removeBase = db.prepare('delete from base where ino = ?');
    this.take = db.prepare('delete from removed where ino = ? returning block').pluck();
    this.lower = db.prepare('update removed_block set live = live - 1 where id = ? returning live').pluck();
    this.removeBlock = db.prepare('delete from removed_block where id = ?');
    this.keepInode = db.prepare('insert or ignore into inode(ino, state) values (?, ?)');
    this.putBase = db.prepare('insert into base(ino, state) values (?, ?)');
    this.isIn = db.prepare('select 1 from removed where ino = ? and block = ?').pluck();
  }

  /** To be called when the row of an inode in `base` has changed. */
  note(ino: Ino): void {
    this.insertDue.run(ino);
  }

  /**
   * Packs what waits, when it is much.
   * @returns whether there is more to do
   */
  pack(isOver: () => boolean): boolean {
    this.isPacking ||= (this.countDue.get(this.waiting) as number) >= this.waiting;
    while (this.isPacking) {
      if (isOver()) return true;
      const inos = this.selectDue.all(this.perBlock) as Ino[];
      this.isPacking = inos.length === this.perBlock;
      if (this.isPacking) this.packSome(inos);
    }
    return false;
  }

  private packSome(inos: readonly Ino[]): void {
    const inodes: Inode[] = [];
    for (const ino of inos) {
      this.removeDue.run(ino);
      const rows = this.selectRows.get(ino) as [state: Buffer, base: Buffer] | undefined;
      if (!rows) continue;
      const inode = decodeInode(ino, unseal(`inode ${ino}`, ino, rows[0]));
      // What is in the journal yet comes to the base one day, and it is noted anew then.
      if (haveSameRegisters(inode, decodeBase(ino, rows[1]))) inodes.push(inode);
    }
    if (inodes.length === 0) return;
    const id = this.nextId.get() as number;
    this.putBlock.run(id, inodes.length, encodeBlock(id, inodes));
    for (const { ino } of inodes) {
      this.put.run(ino, id);
      this.removeInode.run(ino);
      this.removeBase.run(ino);
    }
  }

  /**
   * Gives an inode rows of its own again, if it is in a block: to be called before its row in `base` is written.
   * @throws CorruptionError
   */
  takeOut(ino: Ino): void {
    const block = this.removed.blockOf(ino);
    if (!block) return;
    const id = this.take.get(ino) as number;
    this.writeRows(decodeInode(ino, block.get(ino)!));
    const live = this.lower.get(id) as number;
    if (live > block.size * LEAST_LEFT) return;
    for (const [other, bytes] of block) {
      if (this.isIn.get(other, id) === undefined) continue;
      this.take.get(other);
      this.writeRows(decodeInode(other, bytes));
      this.note(other);
    }
    this.removeBlock.run(id);
  }

  /** As if it had never been packed; a row in `inode` is newer, and stays. */
  private writeRows(inode: Inode): void {
    const { ino } = inode;
    encodeInode(this.writer.reset(), inode);
    this.writer.u32(sealOf(ino, this.writer.view()));
    this.keepInode.run(ino, this.writer.view());
    this.putBase.run(ino, encodeBase(this.writer, bareInode(ino, inode.registers)));
  }
}

/** The same operations wrote all of them. */
export function haveSameRegisters(one: Inode, other: Inode): boolean {
  if (one.registers.size !== other.registers.size) return false;
  for (const [field, entries] of one.registers) {
    const others = other.registers.get(field);
    if (others?.length !== entries.length || !entries.every((entry, i) => sameOp(entry, others[i]!))) return false;
  }
  return true;
}

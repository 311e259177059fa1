// base-registers.ts — the registers that the changes below the floor (floor.ts) make: what the past, and a site that lacks those changes,
// begin from.
// Invariant: a row is the fold of the operations on its inode that are below the floor, and of no other. Nothing derived is in it:
// links and times of the row are empty. Part of the journal's open transaction.

import { ByteWriter } from '../codec/bytes.js';
import type { Change } from '../crdt/change.js';
import { parseOp } from '../crdt/fields.js';
import type { ActorTable, Ino } from '../crdt/ids.js';
import { decodeInode, encodeInode } from '../crdt/inode-codec.js';
import type { Entry, Timestamp } from '../crdt/inode.js';
import { Inode } from '../crdt/inode.js';
import { parseKey } from '../crdt/register-schema.js';
import { writeRegister } from '../crdt/register.js';
import { sealOf, unseal } from './row-sum.js';
import type { Connection, Statement } from './schema.js';

const NO_TIME: Timestamp = { s: 0, ns: 0 };

/** Registers alone, without what a tree derives from them. */
export function bareInode(ino: Ino, registers = new Map<string, readonly Entry[]>()): Inode {
  return new Inode(ino, registers, 0, NO_TIME, NO_TIME);
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

export class BaseRegisters {
  private readonly changed = new Map<Ino, Inode>();
  private readonly writer = new ByteWriter(1024);
  private readonly select: Statement;
  private readonly put: Statement;

  constructor(
    db: Connection,
    private readonly actors: ActorTable,
  ) {
    this.select = db.prepare('select state from base where ino = ?').pluck();
    this.put = db.prepare('replace into base(ino, state) values (?, ?)');
  }

  /** Undefined when nothing below the floor is of it. */
  read(ino: Ino): Inode | undefined {
    const state = this.select.get(ino) as Buffer | undefined;
    return this.changed.get(ino) ?? (state && decodeBase(ino, state));
  }

  /** Takes in the operations of a change, the next one to be below the floor. {@link flush} follows. */
  fold({ ops, startOp, stamp, actor: author }: Change): void {
    const actor = this.actors.intern(author);
    for (const [i, { key, value, pred }] of ops.entries()) {
      const { ino, field } = parseKey(key);
      const inode = this.inode(ino);
      const write = {
        counter: startOp + i,
        actor,
        stamp,
        value,
        pred: pred.map((op) => parseOp(op, this.actors)),
      };
      inode.write(field, writeRegister(inode.registers.get(field), write, this.actors));
    }
  }

  /**
   * Takes in the base of another site, which stands in `incoming`.
   * @param merge what both together say of an inode
   */
  join(db: Connection, merge: (own: Inode, other: Inode) => Inode): void {
    const both = db.prepare(
      'select ino from incoming join base using (ino) where incoming.state <> base.state and ino > ? order by ino limit 1',
    );
    const selectOther = db.prepare('select state from incoming where ino = ?').pluck();
    const putOther = db.prepare('update incoming set state = ? where ino = ?');
    for (let ino = both.pluck().get(-1) as Ino | undefined; ino !== undefined; ino = both.get(ino) as Ino | undefined) {
      const merged = merge(this.read(ino)!, decodeBase(ino, selectOther.get(ino) as Buffer));
      putOther.run(encodeBase(this.writer, merged), ino);
    }
    db.exec('insert or replace into base(ino, state) select ino, state from incoming');
  }

  /** Writes what changed. */
  flush(): void {
    for (const inode of this.changed.values()) this.put.run(inode.ino, encodeBase(this.writer, inode));
    this.changed.clear();
  }

  private inode(ino: Ino): Inode {
    const inode = this.read(ino) ?? bareInode(ino);
    this.changed.set(ino, inode);
    return inode;
  }
}

// base-registers.ts — the registers that the changes below the floor (floor.ts) make: what the past, and a site that lacks those changes,
// begin from.
// Invariant: a row is the fold of the operations on its inode that are below the floor, and of no other. Nothing derived is in it:
// links and times of the row are empty. Of removed inodes a block may stand for the row (removed-inodes.ts). Part of the journal's open
// transaction.

import { ByteWriter } from '../codec/bytes.js';
import type { Change } from '../crdt/change.js';
import { parseOp } from '../crdt/fields.js';
import type { ActorTable, Ino } from '../crdt/ids.js';
import type { Inode } from '../crdt/inode.js';
import { parseKey } from '../crdt/register-schema.js';
import { writeRegister } from '../crdt/register.js';
import { bareInode, BaseRows, decodeBase, encodeBase } from './base-rows.js';
import { haveSameRegisters, IS_REMOVED, type RemovedPacking } from './removed-packing.js';
import type { Connection, Statement } from './schema.js';

export class BaseRegisters {
  private readonly changed = new Map<Ino, Inode>();
  private readonly writer = new ByteWriter(1024);
  private readonly rows: BaseRows;
  private readonly put: Statement;

  constructor(
    private readonly db: Connection,
    private readonly actors: ActorTable,
    private readonly removed: RemovedPacking,
  ) {
    this.rows = new BaseRows(db);
    this.put = db.prepare('replace into base(ino, state) values (?, ?)');
  }

  /** Undefined when nothing below the floor is of it. */
  read(ino: Ino): Inode | undefined {
    return this.changed.get(ino) ?? this.rows.read(ino);
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
   * Takes in the base of another site, which stands in `incoming`. {@link joined} follows.
   * @param merge what both together say of an inode
   */
  join(merge: (own: Inode, other: Inode) => Inode): void {
    const { db } = this;
    const selectOther = db.prepare('select state from incoming where ino = ?').pluck();
    const removeOther = db.prepare('delete from incoming where ino = ?');
    const packed = db.prepare('select ino from incoming join removed using (ino) where ino > ? order by ino limit 1');
    for (
      let ino = packed.pluck().get(-1) as Ino | undefined;
      ino !== undefined;
      ino = packed.get(ino) as Ino | undefined
    ) {
      // Mostly both say the same, and it stays where it is.
      if (haveSameRegisters(this.read(ino)!, decodeBase(ino, selectOther.get(ino) as Buffer))) removeOther.run(ino);
      else this.removed.takeOut(ino);
    }
    const both = db.prepare(
      'select ino from incoming join base using (ino) where incoming.state <> base.state and ino > ? order by ino limit 1',
    );
    const putOther = db.prepare('update incoming set state = ? where ino = ?');
    for (let ino = both.pluck().get(-1) as Ino | undefined; ino !== undefined; ino = both.get(ino) as Ino | undefined) {
      const merged = merge(this.read(ino)!, decodeBase(ino, selectOther.get(ino) as Buffer));
      putOther.run(encodeBase(this.writer, merged), ino);
    }
    db.exec('insert or replace into base(ino, state) select ino, state from incoming');
  }

  /** To be called when what {@link join} took in is in the registers, too, and these are written. */
  joined(): void {
    this.db.exec(
      `insert or ignore into removed_due(ino) select ino from incoming join inode using (ino) where ${IS_REMOVED}`,
    );
  }

  /** Writes what changed. */
  flush(): void {
    for (const inode of this.changed.values()) {
      this.removed.takeOut(inode.ino);
      this.put.run(inode.ino, encodeBase(this.writer, inode));
      this.removed.note(inode.ino);
    }
    this.changed.clear();
  }

  private inode(ino: Ino): Inode {
    const inode = this.read(ino) ?? bareInode(ino);
    this.changed.set(ino, inode);
    return inode;
  }
}

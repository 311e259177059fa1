// incoming-base.ts — the base of another site while it comes: this one lacks changes that are in nobody's journal there any more.
// Invariant: what came survives a crash with the commit after it, and is gone on with from there. Nothing of it shows before it is
// whole. Rows are as in `base`; those that are `due` bring the registers of this site something new (the others never will: what
// this site holds only grows). Part of the journal's open transaction.

import type { Ino } from '../crdt/ids.js';
import type { Inode } from '../crdt/inode.js';
import { ByteWriter } from '../codec/bytes.js';
import type { BaseOffer, BasePart } from './base-part.js';
import { decodeBase, encodeBase } from './base-rows.js';
import type { Connection, Statement } from './schema.js';

/** The key among the journal's texts. */
export const INCOMING_KEY = 'incoming';

interface Incoming {
  readonly offer: BaseOffer;
  /** The last inode that came; -1 before the first. */
  readonly after: Ino;
}

export class IncomingBase {
  private incoming: Incoming | null;
  private readonly writer = new ByteWriter(1024);
  private readonly insert: Statement;
  private readonly selectDue: Statement;
  private readonly insertDue: Statement;

  constructor(
    private readonly db: Connection,
    kept: string | undefined,
    private readonly keep: (text: string | undefined) => void,
  ) {
    this.incoming = kept === undefined ? null : (JSON.parse(kept) as Incoming);
    this.insert = db.prepare('replace into incoming(ino, state) values (?, ?)');
    this.insertDue = db.prepare('insert or ignore into incoming_due(ino) values (?)');
    this.selectDue = db
      .prepare('select ino, state from incoming natural join incoming_due where ino > ? order by ino limit 256')
      .raw();
  }

  get offer(): BaseOffer | null {
    return this.incoming?.offer ?? null;
  }

  /** Goes on with the base that is offered, or begins with it. @returns the last inode that is here of it */
  begin(offer: BaseOffer): Ino {
    if (this.incoming?.offer.id === offer.id) return this.incoming.after;
    this.forget();
    this.save({ offer, after: -1 });
    return -1;
  }

  /** @returns whether the part goes on where the last one ended */
  fits({ id, after }: BasePart): boolean {
    return this.incoming?.offer.id === id && this.incoming.after === after;
  }

  /** @param isDue whether an inode brings something new */
  take(inodes: readonly Inode[], last: Ino, isDue: (inode: Inode) => boolean): void {
    for (const inode of inodes) {
      this.insert.run(inode.ino, encodeBase(this.writer, inode));
      if (isDue(inode)) this.insertDue.run(inode.ino);
    }
    this.save({ ...this.incoming!, after: last });
  }

  /** Of all that came. */
  bytes(): number {
    return this.db.prepare('select total(length(state)) from incoming').pluck().get() as number;
  }

  /** Those that bring something new. */
  *due(): Generator<Inode> {
    for (let last = -1; ;) {
      const rows = this.selectDue.all(last) as [Ino, Buffer][];
      for (const [ino, state] of rows) yield decodeBase(ino, state);
      if (rows.length === 0) return;
      last = rows.at(-1)![0];
    }
  }

  forget(): void {
    this.db.exec('delete from incoming; delete from incoming_due');
    this.incoming = null;
    this.keep(undefined);
  }

  private save(incoming: Incoming): void {
    this.incoming = incoming;
    this.keep(JSON.stringify(incoming));
  }
}

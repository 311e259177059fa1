// inode-rows.ts — the rows of state.db that hold an inode: one for most; of one with many names, a row for each of its links besides; of a
// removed one perhaps a place in a block (removed-inodes.ts), which a row of its own goes before.
// Invariant: what is read is what was written last, or a CorruptionError names the row. A register is never removed, so an inode whose
// links were once kept apart stays so, and `state` knows how many there are. Caches and transactions are the callers'.

import { decodeEntries, decodeInode, encodeEntries, encodeInode } from '../crdt/inode-codec.js';
import { LINK_PREFIX, linkField, linkOfField } from '../crdt/fields.js';
import type { Ino, LinkId } from '../crdt/ids.js';
import { type Entry, type Inode, LinksApart } from '../crdt/inode.js';
import { ByteWriter } from '../codec/bytes.js';
import { RemovedInodes } from './removed-inodes.js';
import { checkRow, rowSum, sealOf, unseal } from './row-sum.js';
import type { Connection, Statement } from './schema.js';

/**
 * Up to so many links are kept with the rest. A further name rewrites the row: with 64 names, some 5 KiB and 20 µs; with 65,000 they
 * were megabytes, for each fold that changed one.
 */
const LINKS_TOGETHER_MAX = 64;

type LinkRow = [link: LinkId, state: Buffer, sum: number];

export class InodeRows {
  private readonly writer = new ByteWriter(1024);
  private readonly removed: RemovedInodes;
  private readonly select: Statement;
  private readonly selectLinks: Statement;
  private readonly put: Statement;
  private readonly putLink: Statement;

  /** @param db open for writing, if {@link write} is called */
  constructor(db: Connection) {
    this.removed = new RemovedInodes(db);
    this.select = db.prepare('select state from inode where ino = ?').pluck();
    this.selectLinks = db.prepare('select link, state, sum from link where ino = ? order by link').raw();
    this.put = db.prepare('replace into inode(ino, state) values (?, ?)');
    this.putLink = db.prepare('replace into link(ino, link, state, sum) values (?, ?, ?, ?)');
  }

  /** @throws CorruptionError when a row of it is damaged */
  read(ino: Ino): Inode | undefined {
    const state = this.select.get(ino) as Buffer | undefined;
    return state ? this.decode(ino, state) : this.removed.read(ino);
  }

  /** The inode whose column `state` this is. @throws CorruptionError when that or a row of one of its links is damaged */
  decode(ino: Ino, state: Buffer): Inode {
    return decodeInode(ino, unseal(`inode ${ino}`, ino, state), () => this.readLinks(ino));
  }

  private readLinks(ino: Ino): [string, readonly Entry[]][] {
    return (this.selectLinks.all(ino) as LinkRow[]).map(([link, state, sum]) => {
      checkRow(() => `link ${link} of inode ${ino}`, sum, ino, link, state);
      return [linkField(link), decodeEntries(state, `link ${link} of inode ${ino}`)];
    });
  }

  write(inode: Inode): void {
    const { ino } = inode;
    this.partLinks(inode);
    encodeInode(this.writer.reset(), inode);
    this.writer.u32(sealOf(ino, this.writer.view()));
    this.put.run(ino, this.writer.view());
    const apart = inode.linksApart;
    if (!apart || apart.unkept.size === 0) return;
    for (const field of apart.unkept) {
      const link = linkOfField(field);
      encodeEntries(this.writer.reset(), inode.registers.get(field)!);
      const state = this.writer.view();
      this.putLink.run(ino, link, state, rowSum(ino, link, state));
    }
    apart.unkept = new Set();
  }

  /** Decides that the links of an inode are kept apart from now on, if they are many. */
  private partLinks(inode: Inode): void {
    if (inode.linksApart || inode.registers.size <= LINKS_TOGETHER_MAX) return;
    const others = new Set(inode.otherFields());
    if (inode.registers.size - others.size <= LINKS_TOGETHER_MAX) return;
    const links = [...inode.registers.keys()].filter((field) => field.startsWith(LINK_PREFIX));
    inode.linksApart = new LinksApart(others, new Set(links));
  }
}

// fsck-tree.ts — compares the rows that a state keeps with what its changes say: registers, and the tree they add up to.
// Invariant: reads only. A row that cannot be read is a fault and not the end of the check. The tree is computed from nothing
// (crdt/projection.ts) over the registers that fsck-journal.ts folded.

import { hasContestedAttributes } from '../crdt/attribute-conflicts.js';
import type { Ino, Name } from '../crdt/ids.js';
import type { Inode } from '../crdt/inode.js';
import { placeKey, projectAll, type View } from '../crdt/projection.js';
import { checkedRows } from '../journal/conflict-tables.js';
import { InodeRows } from '../journal/inode-rows.js';
import type { Journal } from '../journal/journal.js';
import { commitsOf } from '../journal/log-fit.js';
import { type Cell, checkRow, rowSum } from '../journal/row-sum.js';
import type { Connection } from '../journal/schema.js';
import type { JournalCheck } from './fsck-journal.js';
import type { Fault, Tell } from './fsck-report.js';

const ROWS_PER_READ = 2_000;
const REMEDY = 'weft umount, then weft fsck --repair: it is made again from the changes';

type DirentRow = [parent: Ino, cookie: number, name: Name, ino: Ino, link: number, type: number, sum: number];

export class TreeCheck {
  inodes = 0;
  entries = 0;
  /** What the tree should be. */
  readonly view: View;
  /** Inodes whose attributes several sites set at once. */
  private readonly contested: Ino[] = [];
  private readonly parents = new Map<Ino, { parent: Ino; name: Name }>();

  constructor(
    private readonly db: Connection,
    private readonly scratch: Journal,
    private readonly journal: JournalCheck,
    private readonly faults: Fault[],
    private readonly tell: Tell,
  ) {
    this.view = projectAll(scratch.store, scratch.actors);
    for (const { parent, name, ino } of this.view.dirents.values()) {
      if (!this.parents.has(ino)) this.parents.set(ino, { parent, name });
    }
  }

  run(): void {
    this.checkProgress();
    this.checkInodes();
    this.checkEntries();
    this.checkConflicts();
  }

  /** From the root of the volume, '/' first; undefined for what the tree does not show. */
  pathOf(ino: Ino): string | undefined {
    let path = '';
    for (let at = ino; at !== 1;) {
      const place = this.parents.get(at);
      if (!place || path.length > 65_536) return undefined;
      path = `/${place.name}${path}`;
      at = place.parent;
    }
    return path === '' ? '/' : path;
  }

  private fault(what: string, ino?: Ino): void {
    const path = ino === undefined ? undefined : this.pathOf(ino);
    this.faults.push({ class: 'row', what, paths: path === undefined ? [] : [path], repaired: false, remedy: REMEDY });
  }

  /** Runs a part of the check; what cannot be read at all is a fault of that part. */
  private guard(what: string, part: () => void): void {
    try {
      part();
    } catch (error) {
      this.fault(`${what}: ${(error as Error).message}`);
    }
  }

  private checkProgress(): void {
    const { seqs, heads, maxOp, bytes } = this.journal.summary;
    this.guard('where the state ends', () => {
      const row = this.db
        .prepare('select folded_lsn, max_op, heads, journal_bytes, sequence, mark, sum from progress')
        .raw()
        .get() as [...Cell[], number] | undefined;
      const sum = row?.pop();
      if (!row || sum !== rowSum(...row)) throw new Error('its row is damaged');
      const mark = row[5] as Buffer;
      if (commitsOf(mark) === 0) this.fault('where the state ends: it counts no commit');
      if (!this.journal.isWhole) return;
      const kept = (row[2] as Buffer).toString('hex').match(/.{64}/g) ?? [];
      if (kept.toSorted().join() !== [...heads].toSorted().join())
        this.fault('where the state ends: other heads than its changes have');
      if (row[1] !== maxOp) this.fault(`where the state ends: operation ${row[1]}, its changes end at ${maxOp}`);
      if (row[3] !== bytes) this.fault(`where the state ends: ${row[3]} bytes of changes, there are ${bytes}`);
    });
    this.guard('actors', () => {
      type ActorRow = [id: number, name: string, lastSeq: number, lastHash: Buffer | null];
      for (const [id, name, lastSeq] of checkedRows<ActorRow>(
        this.db,
        'actor',
        'id, name, last_seq, last_hash',
        'id',
      )) {
        const seq = seqs.get(name) ?? 0;
        if (lastSeq !== seq) this.fault(`actor ${id}: ends at change ${lastSeq}, the journal at ${seq}`);
      }
    });
    this.guard('meta', () => void checkedRows(this.db, 'meta', 'key, value', 'key'));
    this.guard(
      'names of equal hash',
      () => void checkedRows(this.db, 'cookie_clash', 'parent, cookie', 'parent, cookie'),
    );
  }

  private checkInodes(): void {
    const { store } = this.scratch;
    const seen = new Set<Ino>();
    const mayHaveLinkRows = new Set<Ino>();
    const rows = new InodeRows(this.db);
    const select = this.db
      .prepare(`select ino, state from inode where ino > ? order by ino limit ${ROWS_PER_READ}`)
      .raw();
    this.guard('inodes', () => {
      for (let last = -1; ;) {
        const page = select.all(last) as [Ino, Buffer][];
        for (const [ino, state] of page) {
          seen.add(ino);
          const inode = this.readInode(() => rows.decode(ino, state), ino);
          if (inode) this.checkInode(inode, store.inode(ino));
          if (!inode || inode.linksApart) mayHaveLinkRows.add(ino);
        }
        if (page.length < ROWS_PER_READ) break;
        last = page.at(-1)![0];
        this.inodes = seen.size;
        this.tell('inodes', seen.size, null);
      }
      for (const ino of this.db.prepare('select distinct ino from link').pluck().all() as Ino[]) {
        if (!mayHaveLinkRows.has(ino)) this.fault(`inode ${ino}: has rows of links that it knows nothing of`, ino);
      }
    });
    this.guard('removed inodes', () => this.checkRemoved(rows, seen));
    this.inodes = seen.size;
    for (const ino of store.inodes()) {
      if (!seen.has(ino)) this.fault(`inode ${ino}: has no row`, ino);
      if (hasContestedAttributes(store.inode(ino)!)) this.contested.push(ino);
    }
  }

  private checkRemoved(rows: InodeRows, seen: Set<Ino>): void {
    const { store } = this.scratch;
    const placed = new Map<number, number>();
    const select = this.db
      .prepare(`select ino, block from removed where ino > ? order by ino limit ${ROWS_PER_READ}`)
      .raw();
    for (let last = -1; ;) {
      const page = select.all(last) as [Ino, number][];
      for (const [ino, block] of page) {
        placed.set(block, (placed.get(block) ?? 0) + 1);
        if (seen.has(ino)) continue; // written since
        seen.add(ino);
        const inode = this.readInode(() => rows.read(ino)!, ino);
        if (inode) this.checkInode(inode, store.inode(ino));
      }
      if (page.length < ROWS_PER_READ) break;
      last = page.at(-1)![0];
      this.tell('inodes', seen.size, null);
    }
    for (const ino of this.db.prepare('select ino from removed join base using (ino)').pluck().all() as Ino[])
      this.fault(`inode ${ino}: has a row of the base, and is packed`, ino);
    for (const [id, live] of this.db.prepare('select id, live from removed_block').raw().all() as [number, number][]) {
      const count = placed.get(id) ?? 0;
      if (live !== count) this.fault(`block ${id} of removed inodes: counts ${live}, there are ${count}`);
    }
  }

  private readInode(read: () => Inode, ino: Ino): Inode | undefined {
    try {
      return read();
    } catch (error) {
      this.fault((error as Error).message, ino);
      return undefined;
    }
  }

  private checkInode(inode: Inode, should: Inode | undefined): void {
    if (!this.journal.isWhole) return; // the row may know what a lost change did
    const { ino } = inode;
    if (registersOf(inode) !== registersOf(should))
      this.fault(`inode ${ino}: other registers than its changes have`, ino);
    const nlink = this.view.nlink.get(ino) ?? 0;
    if (inode.nlink !== nlink) this.fault(`inode ${ino}: ${inode.nlink} links, the tree has ${nlink}`, ino);
  }

  private checkEntries(): void {
    const select = this.db
      .prepare(
        `select parent, cookie, name, ino, link, type, sum from dirent where (parent, cookie) > (?, ?)
         order by parent, cookie limit ${ROWS_PER_READ}`,
      )
      .raw();
    const seen = new Set<string>();
    this.guard('entries', () => {
      for (let last: [Ino, number] = [-1, 0]; ;) {
        const rows = select.all(...last) as DirentRow[];
        for (const row of rows) this.checkEntry(row, seen);
        if (rows.length < ROWS_PER_READ) break;
        last = [rows.at(-1)![0], rows.at(-1)![1]];
        this.tell('entries', seen.size, this.view.dirents.size);
      }
    });
    this.entries = seen.size;
    if (!this.journal.isWhole) return;
    for (const [key, { ino, name, parent }] of this.view.dirents) {
      if (!seen.has(key)) this.fault(`entry ${JSON.stringify(name)} of directory ${parent}: has no row`, ino);
    }
  }

  private checkEntry([parent, cookie, name, ino, link, type, sum]: DirentRow, seen: Set<string>): void {
    const what = `entry ${JSON.stringify(name)} of directory ${parent}`;
    const should = this.view.dirents.get(placeKey(parent, name));
    try {
      checkRow(() => what, sum, parent, cookie, name, ino, link, type);
    } catch (error) {
      this.fault((error as Error).message, should?.ino ?? ino);
      return;
    }
    seen.add(placeKey(parent, name));
    if (!this.journal.isWhole) return;
    if (should?.ino !== ino || should.link !== link || should.type !== type) {
      this.fault(`${what}: leads to inode ${ino}, should ${should ? `lead to ${should.ino}` : 'not be there'}`, ino);
    }
  }

  private checkConflicts(): void {
    const { aliases, deferred, copies, claims } = this.view;
    const should = {
      alias: [...aliases].map(([ino, canonical]) => [ino, canonical]),
      deferred: [...deferred].map(([ino, candidate]) => [ino, candidate]),
      copy: [...copies].map(([ino, { source, counter, actor }]) => [ino, source, counter, actor]),
      claim: [...claims].flatMap(([key, list]) => {
        const slash = key.indexOf('/');
        const place = [Number(key.slice(0, slash)), key.slice(slash + 1)];
        return list.map(({ ino, link, shown }, position) => [...place, position, ino, link, shown]);
      }),
    };
    const columns = {
      alias: 'ino, canonical',
      deferred: 'ino, candidate',
      copy: 'ino, source, counter, actor',
      claim: 'parent, base, position, ino, link, shown',
    };
    this.guard('table attribute_contest', () => {
      const is = checkedRows(this.db, 'attribute_contest', 'ino', 'ino');
      if (this.journal.isWhole && sorted(is) !== sorted(this.contested.map((ino) => [ino]))) {
        throw new Error('is not what the changes make of it');
      }
    });
    for (const table of ['alias', 'deferred', 'copy', 'claim'] as const) {
      this.guard(`table ${table}`, () => {
        const is = checkedRows(this.db, table, columns[table], columns[table]);
        if (this.journal.isWhole && sorted(is) !== sorted(should[table]))
          throw new Error('is not what the changes make of it');
      });
    }
  }
}

function sorted(rows: readonly (readonly unknown[])[]): string {
  return rows
    .map((row) => JSON.stringify(row))
    .toSorted()
    .join('\n');
}

function registersOf(inode: Inode | undefined): string {
  const registers = [...(inode?.registers ?? [])].toSorted(([a], [b]) => (a < b ? -1 : 1));
  return JSON.stringify(
    registers.map(([field, entries]) => [
      field,
      entries.map(({ counter, actor, stamp, value }) => [counter, actor, stamp, value]),
    ]),
  );
}

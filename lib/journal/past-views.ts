// past-views.ts — past trees as inodes: each entry of each moment that was looked at has an inode number of its own, for the mount.
// Invariant: a number always means the same inode of the same view, also after a restart; it is never given to another, and is none of
// the live tree's (slot 0 of the numbers is nobody's, see ids.ts). A view is a part of the history under a name: its content never
// changes. Numbers of views that nobody asked for in a month are forgotten.

import { LRUCache } from 'lru-cache';
import type { VersionVector } from '../crdt/change.js';
import { typeBits, wholeBlocks } from '../crdt/fields.js';
import { attributesOf, xattrNames, xattrOf } from '../crdt/inode-attributes.js';
import { fileClaims } from '../crdt/placement.js';
import type { Ino, Name } from '../crdt/ids.js';
import { ROOT_INO } from '../crdt/ids.js';
import type { Timestamp } from '../crdt/inode.js';
import { PastTree } from '../crdt/past-tree.js';
import type { PastDirectory, PastEntry } from '../crdt/past-tree.js';
import { formatSnapshot, parseSnapshot } from '../crdt/volume-fields.js';
import type { HistoryIndex } from './history-index.js';
import { JournalPast } from './past-registers.js';

const TREES_REMEMBERED = 4;
const INODES_REMEMBERED = 50_000;
/** Entries of listed directories. */
const ENTRIES_REMEMBERED = 300_000;
const ENTRIES_PER_PAGE = 256;
const UNUSED_MS = 30 * 86_400_000;
/** How exactly it is known when a view was used. */
const USE_NOTED_MS = 86_400_000;

/** An inode of a view. */
export interface PastInode {
  readonly number: number;
  /** The directory's number; 0 of a view's root. */
  readonly parent: number;
  /** With the S_IFMT bits. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly rdev: number;
  readonly nlink: number;
  readonly size: number;
  readonly mtime: Timestamp;
  readonly ctime: Timestamp;
  readonly btime: Timestamp;
  /** st_blocks. */
  readonly blocks: number;
  /** Of a file; '' for one that was never written. */
  readonly manifest: string;
  /** Of a symbolic link. */
  readonly target: string;
  readonly xattrs: readonly (readonly [name: string, value: string])[];
}

export interface PastDirent {
  readonly name: Name;
  /** Its place in its directory, from 1. */
  readonly position: number;
  readonly inode: PastInode;
}

export interface PastPage {
  readonly entries: readonly PastDirent[];
  /** Whether there are more behind them. */
  readonly more: boolean;
}

interface Known {
  readonly view: number;
  readonly parent: number;
  readonly directory: PastDirectory | undefined;
  readonly entry: PastEntry | undefined;
}

export class PastViews {
  private readonly trees = new LRUCache<number, PastTree>({ max: TREES_REMEMBERED });
  private readonly known = new LRUCache<number, Known>({ max: INODES_REMEMBERED });
  private readonly lists = new LRUCache<number, readonly PastEntry[]>({
    maxSize: ENTRIES_REMEMBERED,
    sizeCalculation: (list) => list.length + 1,
  });

  constructor(
    private readonly index: HistoryIndex,
    private readonly nowMs: () => number,
  ) {
    const before = nowMs() - UNUSED_MS;
    index.db.prepare('delete from past where view in (select id from view where used < ?)').run(before);
    index.db.prepare('delete from view where used < ?').run(before);
  }

  /** The root of the tree that a part of the history shows, under a name; undefined when there was none yet. */
  open(name: string, vector: VersionVector): PastInode | undefined {
    if (vector.size === 0) return undefined;
    const text = formatSnapshot(vector);
    const { db } = this.index;
    const select = this.index.prepare(db, 'select id, used from view where name = ? and vector = ?');
    let row = select.get(name, text) as { id: number; used: number } | undefined;
    if (!row || this.nowMs() - row.used > USE_NOTED_MS) {
      const sql =
        'insert into view(name, vector, used) values (?, ?, ?) on conflict do update set used = excluded.used';
      this.index.prepare(db, sql).run(name, text, this.nowMs());
      row = select.get(name, text) as { id: number; used: number };
    }
    const { id } = row;
    const root = this.tree(id)?.root;
    if (!root) return undefined;
    const number = this.numberOf(id, 0, ROOT_INO, '');
    this.known.set(number, { view: id, parent: 0, directory: root, entry: undefined });
    return this.describe(number);
  }

  /** Undefined when the number was never given out, or is forgotten. */
  inode(number: number): PastInode | undefined {
    return this.find(number) && this.describe(number);
  }

  lookup(number: number, name: Name): PastInode | undefined {
    const found = this.find(number);
    const entry = found?.directory && this.tree(found.view)!.lookup(found.directory, name);
    return entry && this.describe(this.enter(found.view, number, entry));
  }

  /** Entries behind a position. */
  list(number: number, after: number): PastPage | undefined {
    const found = this.find(number);
    if (!found?.directory) return undefined;
    let list = this.lists.get(number);
    if (!list) this.lists.set(number, (list = this.tree(found.view)!.list(found.directory)));
    const { db } = this.index;
    const page = list.slice(after, after + ENTRIES_PER_PAGE);
    const describe = (): PastDirent[] =>
      page.map((entry, i) => ({
        name: entry.name,
        position: after + i + 1,
        inode: this.describe(this.enter(found.view, number, entry)),
      }));
    return { entries: db.transaction(describe).immediate(), more: after + page.length < list.length };
  }

  private tree(view: number): PastTree | undefined {
    let tree = this.trees.get(view);
    if (!tree) {
      const text = this.index.prepare(this.index.db, 'select vector from view where id = ?').pluck().get(view);
      if (typeof text !== 'string') return undefined;
      const { actors } = this.index;
      const vector = new Map([...parseSnapshot(text)!].map(([actor, seq]) => [actors.intern(actor), seq]));
      if (!this.index.reaches(vector)) return undefined; // made by a site that lacked what was dropped here
      this.trees.set(view, (tree = new PastTree(new JournalPast(this.index, vector), actors)));
    }
    return tree;
  }

  private enter(view: number, parent: number, entry: PastEntry): number {
    const number = this.numberOf(view, parent, entry.ino, entry.name);
    this.known.set(number, { view, parent, directory: entry.directory, entry });
    return number;
  }

  private numberOf(view: number, parent: number, ino: Ino, name: Name): number {
    const { db } = this.index;
    const select = this.index.prepare(db, 'select number from past where view = ? and ino = ?').pluck();
    const number = select.get(view, ino) as number | undefined;
    if (number !== undefined) return number;
    const insert = this.index.prepare(db, 'insert into past(view, parent, ino, name) values (?, ?, ?, ?)');
    return Number(insert.run(view, parent, ino, name).lastInsertRowid);
  }

  /** What a number means; what was forgotten is looked up again by the name that it was found under first. */
  private find(number: number): Known | undefined {
    const known = this.known.get(number);
    if (known) return known;
    const select = this.index.prepare(this.index.db, 'select view, parent, ino, name from past where number = ?');
    const row = select.get(number) as { view: number; parent: number; ino: Ino; name: Name } | undefined;
    const tree = row && this.tree(row.view);
    if (!row || !tree) return undefined;
    const { view, parent, ino, name } = row;
    if (parent === 0) {
      this.known.set(number, { view, parent, directory: tree.root, entry: undefined });
    } else {
      const directory = this.find(parent)?.directory;
      const entry = directory && tree.lookup(directory, name);
      if (entry?.ino !== ino) return undefined;
      this.known.set(number, { view, parent, directory: entry.directory, entry });
    }
    return this.known.get(number);
  }

  /** @param number that was found or entered just now */
  private describe(number: number): PastInode {
    const { view, parent, entry } = this.find(number)!;
    const copy = entry?.copy;
    const inode = this.tree(view)!.inode(copy?.source ?? entry?.ino ?? ROOT_INO)!;
    const facts = attributesOf(inode);
    const head = copy?.version ?? facts.head;
    const isDirectory = facts.type === 'd';
    return {
      number,
      parent,
      mode: typeBits(facts.type) | facts.mode,
      uid: facts.uid,
      gid: facts.gid,
      rdev: facts.rdev,
      // Of a directory 1: nobody counts its subdirectories, and find(1) knows what that means.
      nlink: isDirectory || copy ? 1 : Math.max(1, fileClaims(inode, this.index.actors).length),
      size: copy ? copy.version.size : facts.size,
      mtime: copy ? copy.version.mtime : facts.mtime,
      ctime: inode.ctime,
      btime: facts.btime,
      blocks: facts.type === 'f' ? (head?.blocks ?? wholeBlocks(head?.size ?? 0)) : 0,
      manifest: facts.type === 'f' ? (head?.manifest ?? '') : '',
      target: facts.target,
      xattrs: xattrNames(inode).map((name) => [name, xattrOf(inode, name)!] as const),
    };
  }
}

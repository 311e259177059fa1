// past-registers.ts — the registers of inodes as a part of the journal leaves them: what past-tree.ts shows a moment from.
// Invariant: an inode's registers are those of the journal's base, and on them the fold of those of its writes that belong to the part, in
// the order of the journal. The part is closed under what changes build on, and has all that was dropped from the journal. Inodes
// are remembered; nothing of the present is read.

import { LRUCache } from 'lru-cache';
import type { Ino, Name } from '../crdt/ids.js';
import type { Entry, Timestamp } from '../crdt/inode.js';
import { Inode } from '../crdt/inode.js';
import { parseOp, timeOfStamp } from '../crdt/fields.js';
import type { PastRegisters } from '../crdt/past-tree.js';
import { parseKey } from '../crdt/register-schema.js';
import { compareEntries, writeRegister } from '../crdt/register.js';
import type { EntryWrite } from '../crdt/register.js';
import type { HistoryIndex, IndexedChange } from './history-index.js';

const INODES_REMEMBERED = 50_000;
const NO_TIME: Timestamp = { s: 0, ns: 0 };

export class JournalPast implements PastRegisters {
  private readonly known = new LRUCache<Ino, { readonly inode: Inode | undefined }>({ max: INODES_REMEMBERED });

  /** @throws Error when the part lacks something that was dropped: what it showed cannot be told any more */
  constructor(
    private readonly index: HistoryIndex,
    /** Highest seq of each actor, by its index, that belongs to the part. */
    private readonly vector: ReadonlyMap<number, number>,
  ) {
    if (!index.reaches(vector)) throw new Error('what was before then is not kept here any more');
  }

  inode(ino: Ino): Inode | undefined {
    let known = this.known.get(ino);
    if (!known) this.known.set(ino, (known = { inode: this.read(ino) }));
    return known.inode;
  }

  placedIn(parent: Ino, name?: Name): readonly Ino[] {
    return this.index.placedIn(parent, name);
  }

  mergedInto(canonical: Ino): readonly Ino[] {
    return this.index.mergedInto(canonical);
  }

  /** The last time at which a write of the part changed it, in ctime's sense. */
  private read(ino: Ino): Inode | undefined {
    const registers = new Map<string, readonly Entry[]>(this.index.base(ino)?.registers);
    const timesBefore = registers.get('times')?.[0];
    let lastStamp = 0;
    for (const [field, entries] of registers)
      if (field !== 'times') for (const { stamp } of entries) lastStamp = Math.max(lastStamp, stamp);
    for (const lsn of this.index.touches(ino)) {
      if (!this.holds(lsn)) continue;
      const change = this.index.change(lsn);
      for (const position of change.byInode.get(ino) ?? []) {
        const op = change.ops[position]!;
        const { field } = parseKey(op.key);
        if (field === 'times') continue;
        const write = this.writeOf(change, position);
        registers.set(field, writeRegister(registers.get(field), write, this.index.actors));
      }
      lastStamp = Math.max(lastStamp, change.stamp);
    }
    const times = this.timesOf(ino, timesBefore);
    if (times) registers.set('times', [times]);
    if (registers.size === 0) return undefined;
    const ctime = timeOfStamp(Math.max(lastStamp, times?.stamp ?? 0));
    return new Inode(ino, registers, 0, NO_TIME, ctime);
  }

  /** A write that overwrites another is later than it: the latest of the part is the winner. */
  private timesOf(ino: Ino, before: Entry | undefined): Entry | undefined {
    let latest = before;
    for (const { stamp, lsn } of this.index.times(ino)) {
      if (latest && stamp < latest.stamp) break;
      if (!this.holds(lsn)) continue;
      const change = this.index.change(lsn);
      for (const position of change.byInode.get(ino) ?? []) {
        if (parseKey(change.ops[position]!.key).field !== 'times') continue;
        const { counter, actor, value } = this.writeOf(change, position);
        const entry = { counter, actor, stamp, value };
        if (!latest || compareEntries(entry, latest, this.index.actors) > 0) latest = entry;
      }
    }
    return latest;
  }

  private holds(lsn: number): boolean {
    const { actor, seq } = this.index.origin(lsn);
    return seq <= (this.vector.get(actor) ?? 0);
  }

  private writeOf({ ops, startOp, actor, stamp }: IndexedChange, position: number): EntryWrite {
    const { value, pred } = ops[position]!;
    return {
      counter: startOp + position,
      actor,
      stamp,
      value,
      pred: pred.map((op) => parseOp(op, this.index.actors)),
    };
  }
}

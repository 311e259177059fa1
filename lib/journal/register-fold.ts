// register-fold.ts — test support: applies a change's operations to the registers of a store, without any tree.
// It is what a replica does first, and all of what the journal's own tests need.

import type { Change } from '../crdt/change.js';
import { parseOp } from '../crdt/fields.js';
import type { ActorTable } from '../crdt/ids.js';
import { Inode } from '../crdt/inode.js';
import { writeRegister } from '../crdt/register.js';
import type { TreeStore } from '../crdt/tree-store.js';

const ZERO_TIME = { s: 0, ns: 0 };

export function foldChange(change: Omit<Change, 'hash' | 'deps' | 'seq'>, store: TreeStore, actors: ActorTable): void {
  const actor = actors.intern(change.actor);
  change.ops.forEach(({ key, value, pred }, index) => {
    const dot = key.indexOf('.');
    const ino = Number(key.slice(0, dot));
    const field = key.slice(dot + 1);
    let inode = store.inode(ino);
    if (!inode) store.insert((inode = new Inode(ino, new Map(), 1, ZERO_TIME, ZERO_TIME)));
    const write = {
      counter: change.startOp + index,
      actor,
      stamp: change.stamp,
      value,
      pred: pred.map((op) => parseOp(op, actors)),
    };
    inode.write(field, [...writeRegister(inode.registers.get(field), write, actors)]);
    store.touch(inode);
  });
}

/** The operations that a write to a register overwrites now, as Automerge wants them. */
export function predecessors(key: string, store: TreeStore, actors: ActorTable): string[] {
  const dot = key.indexOf('.');
  const entries = store.inode(Number(key.slice(0, dot)))?.registers.get(key.slice(dot + 1)) ?? [];
  return entries
    .toSorted((a, b) => a.counter - b.counter || actors.compare(a.actor, b.actor))
    .map(({ counter, actor }) => `${counter}@${actors.id(actor)}`);
}

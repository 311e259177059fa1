// oracle.ts — test support: Automerge itself as the judge of what the registers should hold.
// Loads the same changes into a real Automerge document and compares every register with the store's: values, operation ids, and
// nothing besides. Only for tests: it materialises the document, and reads every inode.

import assert from 'node:assert/strict';
import * as Automerge from '@automerge/automerge';
import type { ActorTable } from '../crdt/ids.js';
import type { TreeStore } from '../crdt/tree-store.js';
import type { Value } from '../crdt/change.js';

/** operation id → value, of one register. */
type Entries = ReadonlyMap<string, Value>;

/** Throws an AssertionError naming the first register on which Automerge and the store disagree. */
export function assertOracleAgrees(changes: Iterable<Uint8Array>, store: TreeStore, actors: ActorTable): void {
  const document = Automerge.init<Record<string, unknown>>();
  const handle = Automerge.getBackend(document);
  try {
    handle.applyChanges([...changes]);
    const missing = handle.getMissingDeps([]);
    assert.deepEqual(missing, [], 'the changes given to the oracle lack some they depend on');
    const expected = new Set(handle.keys('_root'));
    for (const [key, entries] of registersOf(store, actors)) {
      assert.ok(expected.delete(key), `the store holds register ${key}, Automerge does not`);
      const theirs = new Map<string, Value>();
      for (const [, value, id] of handle.getAll('_root', key) as [string, Value | bigint, string][]) {
        theirs.set(id, typeof value === 'bigint' ? Number(value) : value);
      }
      assert.deepEqual(sorted(entries), sorted(theirs), `register ${key}`);
    }
    assert.deepEqual([...expected], [], 'registers that Automerge holds and the store does not');
  } finally {
    Automerge.free(document);
  }
}

function* registersOf(store: TreeStore, actors: ActorTable): Generator<[key: string, entries: Entries]> {
  for (const ino of store.inodes()) {
    for (const [field, entries] of store.inode(ino)!.registers) {
      yield [
        `${ino}.${field}`,
        new Map(entries.map(({ counter, actor, value }) => [`${counter}@${actors.id(actor)}`, value])),
      ];
    }
  }
}

function sorted(entries: Entries): [string, Value][] {
  return [...entries].toSorted(([a], [b]) => (a < b ? -1 : 1));
}

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import type { ChangeOp } from '../crdt/change.js';
import type { Entry } from '../crdt/inode.js';
import { decodeChange } from './change-codec.js';
import { JournalReader } from './journal-reader.js';
import { Journal } from './journal.js';
import { assertOracleAgrees } from './oracle.js';
import { foldChange, predecessors } from './register-fold.js';
import { temporaryDirectory } from './temporary-directory.js';

const LIMIT_BYTES = 1 << 20;
const KEYS = ['1.mode', '1.x:user.a', '2.link:0', '2.head', '3.uid', '3.times'];

/** One site of the history: writes of its own, and changes of the others in any causal order. */
class Site {
  readonly journal: Journal;
  private stamp = 0;

  constructor(
    readonly directory: string,
    readonly actor: string,
  ) {
    this.journal = Journal.open(directory, { cachedInodes: 2 });
  }

  write(keys: readonly string[], value: string): void {
    const { journal } = this;
    const { store, actors } = journal;
    const ops: ChangeOp[] = [];
    keys.forEach((key, index) => {
      const op = {
        key,
        value: index % 2 === 0 ? value : value.length * 2 ** 40 - index,
        pred: predecessors(key, store, actors),
      };
      ops.push(op);
      foldChange(
        { actor: this.actor, startOp: journal.maxOp + ops.length, stamp: this.stamp, ops: [op] },
        store,
        actors,
      );
    });
    const { bytes, change } = journal.author(this.actor, ops, this.stamp++);
    journal.appendChange(bytes, change);
    journal.commit(0);
  }

  receive(bytes: Uint8Array): void {
    const { journal } = this;
    const change = decodeChange(bytes, LIMIT_BYTES);
    if (journal.has(change.actor, change.seq)) return;
    if (!journal.isReady(change)) {
      journal.park(bytes, change);
      return;
    }
    journal.appendChange(bytes, change);
    foldChange(change, journal.store, journal.actors);
    for (let ready = journal.unparkReady(); ready.length > 0; ready = journal.unparkReady()) {
      for (const parked of ready) {
        journal.appendChange(parked.bytes, parked.change);
        foldChange(parked.change, journal.store, journal.actors);
      }
    }
    journal.commit(0);
  }

  changes(): Buffer[] {
    const reader = JournalReader.open(this.directory);
    try {
      return reader.changesAfter(new Map(), Infinity).map(({ bytes }) => bytes);
    } finally {
      reader.close();
    }
  }
}

const stepArbitrary = fc.oneof(
  fc.record({
    kind: fc.constant('write' as const),
    site: fc.nat(2),
    keys: fc.array(fc.constantFrom(...KEYS), { minLength: 1, maxLength: 4 }),
    value: fc.string({ maxLength: 12 }),
  }),
  fc.record({ kind: fc.constant('deliver' as const), site: fc.nat(2), from: fc.nat(2), which: fc.nat(30) }),
);

test('every register is what Automerge makes of the same changes, after any concurrent history of three actors', (t) => {
  const directory = temporaryDirectory(t);
  let run = 0;
  fc.assert(
    fc.property(fc.array(stepArbitrary, { minLength: 5, maxLength: 50 }), (steps) => {
      run++;
      const sites = ['c3', 'a1', 'b2'].map((byte, i) => new Site(join(directory, `${run}-${i}`), byte.repeat(16)));
      try {
        for (const step of steps) {
          const site = sites[step.site]!;
          if (step.kind === 'write') site.write(step.keys, step.value);
          else {
            const changes = sites[step.from]!.changes();
            if (changes.length > 0) site.receive(changes[step.which % changes.length]!);
          }
        }
        for (const { journal, changes } of sites.map((site) => ({ journal: site.journal, changes: site.changes() }))) {
          assertOracleAgrees(changes, journal.store, journal.actors);
        }
        // Once everyone has everything, everyone has the same.
        for (const target of sites)
          for (const source of sites) source.changes().forEach((bytes) => target.receive(bytes));
        const [first, ...others] = sites.map(({ journal }) => ({
          vector: [...journal.vector()].toSorted(),
          heads: journal.heads,
          maxOp: journal.maxOp,
        }));
        for (const other of others) assert.deepEqual(other, first);
        for (const site of sites) assertOracleAgrees(site.changes(), site.journal.store, site.journal.actors);
      } finally {
        for (const { journal } of sites) journal.close();
      }
    }),
    { numRuns: 25 },
  );
});

test('the oracle notices a value, an operation or a register that is not what it should be', (t) => {
  const site = new Site(join(temporaryDirectory(t), 'site'), 'a1'.repeat(16));
  t.after(() => site.journal.close());
  const { store, actors } = site.journal;
  site.write(['1.mode', '1.uid'], 'value');
  assertOracleAgrees(site.changes(), store, actors);
  const registers = store.inode(1)!.registers as Map<string, readonly Entry[]>;
  const [right] = registers.get('mode')!;
  for (const wrong of [
    [{ ...right!, value: 'other' }],
    [{ ...right!, counter: 9 }],
    [right!, { ...right!, counter: 9 }],
  ]) {
    registers.set('mode', wrong);
    assert.throws(() => assertOracleAgrees(site.changes(), store, actors), /register 1\.mode/);
  }
  registers.delete('mode');
  assert.throws(() => assertOracleAgrees(site.changes(), store, actors), /Automerge holds/);
  registers.set('mode', [right!]).set('gid', [right!]);
  assert.throws(() => assertOracleAgrees(site.changes(), store, actors), /1\.gid/);
});

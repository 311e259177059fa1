import assert from 'node:assert/strict';
import { test } from 'node:test';
import { exchangeAll, partitioned } from './convergence.test-support.js';
import { MemoryTreeStore } from './memory-tree-store.js';
import type { SimulatedSite } from './simulated-site.test-support.js';
import type { TreeStore } from './tree-store.js';

// What an operation costs, counted in calls of the store, so that the figures are the same on every machine.

type Call = Exclude<keyof TreeStore, 'inode' | 'touch' | 'alias' | 'deferred' | 'hasContests'>;

/** Counts the calls of a site's store while `act` runs; the cheap ones, which are lookups by number, are left out. */
function callsDuring(site: SimulatedSite, act: () => void): Partial<Record<Call, number>> {
  const calls: Partial<Record<string, number>> = {};
  const names = Object.getOwnPropertyNames(MemoryTreeStore.prototype) as (keyof TreeStore | 'constructor')[];
  for (const name of names) {
    if (['constructor', 'inode', 'touch', 'alias', 'deferred', 'copy', 'hasContests'].includes(name)) continue;
    const original = Reflect.get(site.store, name) as (...args: unknown[]) => unknown;
    Reflect.set(site.store, name, (...args: unknown[]) => {
      calls[name] = (calls[name] ?? 0) + 1;
      return original.apply(site.store, args);
    });
  }
  try {
    act();
  } finally {
    for (const name of names) if (name !== 'constructor') Reflect.deleteProperty(site.store, name);
  }
  return calls;
}

/** The calls that applying the next change takes, without those of drafting it. */
function callsToApply(from: SimulatedSite, to: SimulatedSite, act: () => void): Partial<Record<Call, number>> {
  const before = from.changes.length;
  act();
  return callsDuring(to, () => to.receive(from.changes.slice(before)));
}

test('an uncontested operation looks at its own names and at nothing else, however large the directory', () => {
  const [oslo, paris] = partitioned((site) => {
    site.mkdir('d');
    for (let i = 0; i < 300; i++) site.write(`d/${i}`, 'x');
  });
  assert.deepEqual(
    callsToApply(oslo, paris, () => oslo.create('d/new')),
    { claims: 1, insert: 1, lookup: 1, setDirent: 1 },
  );
  assert.deepEqual(
    callsToApply(oslo, paris, () => oslo.chmod('d/7', 0o600)),
    { claims: 1 },
  );
  assert.deepEqual(
    callsToApply(oslo, paris, () => oslo.write('d/7', 'y')),
    { claims: 1 },
  );
  assert.deepEqual(
    callsToApply(oslo, paris, () => oslo.rename('d/7', 'd/8.new')),
    { claims: 2, deleteDirent: 1, lookup: 2, setDirent: 1 },
  );
  assert.deepEqual(
    callsToApply(oslo, paris, () => oslo.unlink('d/9')),
    { claims: 1, deleteDirent: 1, lookup: 1 },
  );
});

test('a further conflict costs the same in a directory with a few conflicts and with many', () => {
  const costs = [10, 200].map((count) => {
    const [oslo, paris] = partitioned();
    for (const site of [oslo, paris]) for (let i = 0; i < count; i++) site.write(`${i}`, site.name);
    exchangeAll([oslo, paris], () => 0);
    oslo.write('more', 'oslo');
    paris.write('more', 'paris');
    return callsDuring(oslo, () => oslo.receive(paris.changes));
  });
  assert.deepEqual(costs[0], costs[1]);
});

test('a cycle of moves costs what is on it, however many directories there are', () => {
  const costs = [10, 300].map((count) => {
    const [oslo, paris] = partitioned((site) => {
      for (let i = 0; i < count; i++) site.mkdir(`d${i}`);
    });
    oslo.rename('d1', 'd2/moved');
    const before = paris.changes.length;
    paris.rename('d2', 'd1/moved');
    return callsDuring(oslo, () => oslo.receive(paris.changes.slice(before)));
  });
  assert.deepEqual(costs[0], costs[1]);
});

test('a further name costs the same for a file with a few names and with many', () => {
  const costs = [10, 300].map((count) => {
    const [oslo, paris] = partitioned((site) => {
      site.write('file', 'x');
      for (let i = 0; i < count; i++) site.link('file', `name-${i}`);
    });
    return [
      callsToApply(oslo, paris, () => oslo.link('file', 'more')),
      callsToApply(oslo, paris, () => oslo.rename('name-3', 'moved')),
      callsToApply(oslo, paris, () => oslo.unlink('name-7')),
    ];
  });
  assert.deepEqual(costs[0], costs[1]);
});

// convergence.test-support.ts — the checks that every merge must pass, and random causal delivery. For tests.
// Invariant: whatever can differ between runs comes from the seed.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { listConflicts } from './conflicts.js';
import { digestOf } from './digest.js';
import { checkInvariants } from './invariants.js';
import { compareWithStore, projectAll } from './projection.js';
import { SimulatedSite } from './simulated-site.test-support.js';
import type { SimulatedChange } from './simulated-site.test-support.js';

/** Histories with more orders of delivery are checked in random ones. */
const MOST_ORDERS = 150;

/** A number from 0 to below − 1. */
export type Random = (below: number) => number;

/** mulberry32 */
export function randomFrom(seed: number): Random {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) % below;
  };
}

export function sha256(bytes: Uint8Array): Uint8Array {
  return createHash('sha256').update(bytes).digest();
}

/** The incremental view is the view from nothing, and a tree. */
export function check(site: SimulatedSite): void {
  const wrong = compareWithStore(projectAll(site.store, site.actors), site.store);
  assert.deepEqual(wrong, [], `${site.name}: the incremental view is the view from nothing`);
  assert.deepEqual(checkInvariants(site.store, site.actors), [], `${site.name}: invariants`);
}

/** What of `from` the site does not hold yet, in a random causal order. */
export function shuffledFor(site: SimulatedSite, from: readonly SimulatedChange[], random: Random): SimulatedChange[] {
  const held = new Map(site.held);
  const left = from.filter((change) => (held.get(change.actor) ?? 0) < change.seq);
  const order: SimulatedChange[] = [];
  while (left.length > 0) {
    const ready = left.filter(
      (change) =>
        (held.get(change.actor) ?? 0) === change.seq - 1 &&
        [...change.deps].every(([actor, seq]) => (held.get(actor) ?? 0) >= seq),
    );
    const next = ready[random(ready.length)];
    if (!next) break;
    order.push(next);
    held.set(next.actor, next.seq);
    left.splice(left.indexOf(next), 1);
  }
  return order;
}

/** Every order in which a site can receive changes, causes before effects; null when they are more than `most`. */
export function causalOrders(changes: readonly SimulatedChange[], most: number): SimulatedChange[][] | null {
  const orders: SimulatedChange[][] = [];
  const held = new Map<string, number>();
  const extend = (order: readonly SimulatedChange[]): boolean => {
    if (order.length === changes.length) return orders.push([...order]) <= most;
    return changes.every((change) => {
      if ((held.get(change.actor) ?? 0) !== change.seq - 1) return true;
      for (const [actor, seq] of change.deps) if ((held.get(actor) ?? 0) < seq) return true;
      held.set(change.actor, change.seq);
      const isFew = extend([...order, change]);
      held.set(change.actor, change.seq - 1);
      return isFew;
    });
  };
  return extend([]) ? orders : null;
}

/** Every site receives all that every other has. */
export function exchangeAll(sites: readonly SimulatedSite[], random: Random): void {
  for (let pass = 0; pass < 2; pass++) {
    for (const site of sites) {
      for (const from of sites) site.receive(shuffledFor(site, from.changes, random), 1 + random(10));
      check(site);
    }
  }
}

/** Sites that hold the same show the same, and so does whoever receives it in any other order and batching. */
export function checkConverged(sites: readonly SimulatedSite[], random: Random, permutations = 3): void {
  const [first] = sites;
  const digest = digestOf(first!.store, sha256);
  const conflicts = listConflicts(first!.store, first!.actors);
  for (const site of sites) {
    assert.equal(digestOf(site.store, sha256), digest, `${site.name} shows the same tree as ${first!.name}`);
    assert.deepEqual(listConflicts(site.store, site.actors), conflicts, `${site.name} lists the same conflicts`);
  }
  for (let i = 0; i < permutations; i++) {
    const fresh = new SimulatedSite('fresh', 5 + i);
    fresh.receive(shuffledFor(fresh, first!.changes, random), i === 0 ? undefined : 1 + random(5));
    check(fresh);
    assert.equal(digestOf(fresh.store, sha256), digest, 'any order and batching shows the same tree');
  }
}

/** Sites that share what `start` makes at the first of them, and nothing that they do from then on. */
export function partitioned(
  start: (site: SimulatedSite) => unknown = () => {},
  count = 2,
): [SimulatedSite, SimulatedSite, SimulatedSite] {
  const sites = ['oslo', 'paris', 'rome'].slice(0, count).map((name, i) => new SimulatedSite(name, i + 1));
  start(sites[0]!);
  for (const site of sites) {
    site.nowUs += 1000;
    site.receive(sites[0]!.changes);
  }
  return sites as [SimulatedSite, SimulatedSite, SimulatedSite];
}

/** Heals the partition, checks all that must hold, and gives the tree that all show: in every order of delivery, or many of them. */
export function converge(...sites: SimulatedSite[]): Record<string, string> {
  const random = randomFrom(1);
  exchangeAll(sites, random);
  checkConverged(sites, random, 6);
  const digest = digestOf(sites[0]!.store, sha256);
  for (const order of causalOrders(sites[0]!.changes, MOST_ORDERS) ?? []) {
    const fresh = new SimulatedSite('fresh', 5);
    for (const change of order) {
      fresh.receive([change]);
      check(fresh);
    }
    assert.equal(digestOf(fresh.store, sha256), digest, 'every order shows the same tree');
  }
  for (const site of sites) site.nowUs = Math.max(...sites.map((other) => other.nowUs)) + 1;
  return sites[0]!.tree();
}

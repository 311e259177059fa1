import assert from 'node:assert/strict';
import { test } from 'node:test';
import { exchangeAll, partitioned, randomFrom, shuffledFor } from './convergence.test-support.js';
import type { Random } from './convergence.test-support.js';
import { parseBorn, parseInto, parseLink } from './fields.js';
import { isDirectory } from './inode-attributes.js';
import { ActorTable, VOLUME_INO } from './ids.js';
import type { Ino, Name } from './ids.js';
import { Inode } from './inode.js';
import { isDirectoryEntry, PastTree } from './past-tree.js';
import type { PastDirectory, PastRegisters } from './past-tree.js';
import { placeKey, projectAll } from './projection.js';
import { writeRegister } from './register.js';
import { SimulatedSite } from './simulated-site.test-support.js';
import type { SimulatedChange } from './simulated-site.test-support.js';

// What the tree looked like after any part of a history is what a site showed that had received that part and nothing else.
// SEED=n replays one round.

const ROUNDS = 60;
const FIRST_SEED = process.env['SEED'] === undefined ? undefined : Number(process.env['SEED']);

/** Registers of a part of a history; where to look is known from all of it. */
function registersOf(part: readonly SimulatedChange[], whole: readonly SimulatedChange[], actors: ActorTable) {
  const inodes = new Map<Ino, Inode>();
  const zero = { s: 0, ns: 0 };
  for (const change of part) {
    for (const write of change.writes) {
      let inode = inodes.get(write.ino);
      if (!inode) inodes.set(write.ino, (inode = new Inode(write.ino, new Map(), 0, zero, zero)));
      const pred = write.pred.map(({ counter, actor }) => ({ counter, actor: actors.intern(actor) }));
      const entry = { ...write, pred, actor: actors.intern(change.actor), stamp: change.stamp };
      inode.write(write.field, writeRegister(inode.registers.get(write.field), entry, actors));
    }
  }
  const placed = new Map<Ino, Map<Ino, Set<Name>>>();
  const merged = new Map<Ino, Set<Ino>>();
  const place = (parent: Ino, name: Name, ino: Ino): void => {
    const inos = placed.get(parent) ?? new Map<Ino, Set<Name>>();
    placed.set(parent, inos);
    inos.set(ino, (inos.get(ino) ?? new Set()).add(name));
  };
  for (const { ino, field, value } of whole.flatMap((change) => change.writes)) {
    if (ino === VOLUME_INO) continue;
    if (field === 'born') place(parseBorn(value).parent, parseBorn(value).name, ino);
    if (field === 'into') merged.set(parseInto(value), (merged.get(parseInto(value)) ?? new Set()).add(ino));
    if (!field.startsWith('link:')) continue;
    const link = parseLink(value);
    place(link.parent, link.name, ino);
    if (link.kind === 'place' && link.prev) place(link.prev.parent, link.prev.name, ino);
  }
  const registers: PastRegisters = {
    inode: (ino) => inodes.get(ino),
    placedIn: (parent, name) =>
      [...(placed.get(parent) ?? [])].filter(([, names]) => name === undefined || names.has(name)).map(([ino]) => ino),
    mergedInto: (canonical) => [...(merged.get(canonical) ?? [])],
  };
  return registers;
}

function walk(tree: PastTree, directory: PastDirectory, into: Map<string, unknown>): void {
  for (const entry of tree.list(directory)) {
    into.set(placeKey(directory.ino, entry.name), [entry.ino, entry.link, entry.type]);
    const { ino, link, type } = tree.lookup(directory, entry.name)!;
    assert.deepEqual([ino, link, type], [entry.ino, entry.link, entry.type], `lookup of ${entry.name}`);
    if (isDirectoryEntry(entry)) walk(tree, entry.directory, into);
  }
}

function compare(part: readonly SimulatedChange[], whole: readonly SimulatedChange[]): void {
  const site = new SimulatedSite('then', 5);
  site.receive(part);
  const view = projectAll(site.store, site.actors);
  const shown = new Map([...view.dirents].map(([key, { ino, link, type }]) => [key, [ino, link, type] as unknown]));
  const actors = new ActorTable();
  const tree = new PastTree(registersOf(part, whole, actors), actors);
  const found = new Map<string, unknown>();
  if (tree.root) walk(tree, tree.root, found);
  assert.deepEqual(new Map([...found].toSorted()), new Map([...shown].toSorted()));
}

const NAMES = ['a', 'b', 'c', 'x'];

/** Something at random; what makes no sense here is left. */
function step(site: SimulatedSite, random: Random): void {
  const pick = <T>(list: readonly T[]): T => list[random(list.length)]!;
  const paths = Object.keys(site.tree());
  const directories = ['', ...paths.filter((path) => isDirectory(site.store.inode(site.find(path)!.ino) ?? none))];
  const at = pick(directories);
  const place = at === '' ? pick(NAMES) : `${at}/${pick(NAMES)}`;
  const path = paths.length > 0 ? pick(paths) : undefined;
  try {
    switch (random(8)) {
      case 0:
        site.create(place);
        break;
      case 1:
      case 2:
        site.mkdir(place);
        break;
      case 3:
        site.write(place, `c${random(5)}`);
        break;
      case 4:
        if (path !== undefined) site.remove(path);
        break;
      case 5:
      case 6:
        if (path !== undefined && place !== path && !place.startsWith(`${path}/`)) site.rename(path, place);
        break;
      case 7:
        if (path !== undefined) site.link(path, place);
        break;
    }
  } catch (error) {
    if (!(error instanceof Error)) throw error;
  }
}

const none = new Inode(0, new Map(), 0, { s: 0, ns: 0 }, { s: 0, ns: 0 });

function round(seed: number): void {
  const random = randomFrom(seed);
  const sites = ['oslo', 'paris', 'rome'].map((name, i) => new SimulatedSite(name, i + 1));
  for (const site of sites) site.receive(sites[0]!.changes);
  for (let turn = 0; turn < 3; turn++) {
    for (let i = 0; i < 14; i++) {
      const site = sites[random(sites.length)]!;
      site.nowUs += 1 + random(2000);
      step(site, random);
    }
    if (random(2) === 0) exchangeAll(sites, random);
  }
  exchangeAll(sites, random);
  const whole = shuffledFor(new SimulatedSite('empty', 6), sites[0]!.changes, random);
  for (const length of [whole.length, random(whole.length), random(whole.length)])
    compare(whole.slice(0, length), whole);
}

test('the tree after any part of a history is what a site showed that had that part', () => {
  const first = FIRST_SEED ?? 1;
  const last = FIRST_SEED ?? ROUNDS;
  for (let seed = first; seed <= last; seed++) {
    try {
      round(seed);
    } catch (error) {
      throw new Error(`SEED=${seed}`, { cause: error });
    }
  }
});

test('renames that formed a cycle are shown where they were', () => {
  const sites = partitioned((site) => {
    for (const name of ['a', 'b', 'c']) site.mkdir(name);
    site.write('a/x', 'in a');
  }, 3);
  const [oslo, paris, rome] = sites;
  for (const [i, site] of sites.entries()) site.nowUs += 1000 * (i + 1);
  oslo.rename('a', 'b/a');
  paris.rename('b', 'c/b');
  rome.rename('c', 'a/c');
  exchangeAll(sites, randomFrom(1));
  assert.ok(oslo.store.deferred().size > 0, 'a move is deferred');
  for (let length = 1; length <= oslo.changes.length; length++) compare(oslo.changes.slice(0, length), oslo.changes);
});

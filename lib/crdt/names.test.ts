import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ActorTable } from './ids.js';
import { Inode } from './inode.js';
import type { Entry } from './inode.js';
import { MemoryTreeStore } from './memory-tree-store.js';
import { SiteNames, isFirstChoice, nameLosers, suffixedName } from './names.js';
import type { Suffixed } from './names.js';
import { nameError } from './register-schema.js';

const actors = new ActorTable();
const ACTOR = actors.intern('a'.repeat(32));
const SITE = '5'.repeat(32);

function sitesNamed(name: string): SiteNames {
  const entry = (value: string): Entry[] => [{ counter: 1, actor: ACTOR, stamp: 1, value }];
  const registers = new Map([
    [`actor:${'a'.repeat(32)}`, entry(SITE)],
    [`site:${SITE}`, entry(name)],
  ]);
  const store = new MemoryTreeStore();
  store.insert(new Inode(0, registers, 0, { s: 0, ns: 0 }, { s: 0, ns: 0 }));
  return new SiteNames(store, actors);
}

function loser(base: string, stamp: number, ino = 5): Suffixed {
  return { ino, link: 0, base, entry: { counter: 1, actor: ACTOR, stamp, value: '' } };
}

test('whatever the name, the site and the round, a suffixed name is a valid name', () => {
  const name = fc
    .uint8Array({ minLength: 1, maxLength: 255 })
    .map((bytes) => Buffer.from(bytes).toString('latin1'))
    .filter((text) => nameError(text) === undefined);
  const site = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 255 });
  fc.assert(
    fc.property(name, site, fc.nat(), fc.integer({ min: 1, max: 9 }), (base, siteName, stamp, round) => {
      const suffixed = suffixedName(base, loser(base, stamp).entry, round, sitesNamed(siteName), actors);
      assert.equal(nameError(suffixed), undefined);
      assert.equal(isFirstChoice(suffixed), round === 1);
    }),
  );
});

test('losers of one name take it in turn: the later its first choice, the others longer ones', () => {
  const sites = sitesNamed('oslo');
  const first = suffixedName('x', loser('x', 7).entry, 1, sites, actors);
  const twins = [loser('x', 7, 5), loser('x', 7, 6), loser('x', 7, 8)];
  const named = [...nameLosers(twins, () => false, sites, actors)];
  assert.deepEqual(named[0], [first, twins[0]]);
  assert.equal(named.length, 3);
  for (const [name] of named.slice(1)) assert.ok(name.startsWith(first) && !isFirstChoice(name));
});

test('naming ends even when every short name is claimed', () => {
  const sites = sitesNamed('oslo');
  let asked = 0;
  const named = nameLosers([loser('x', 7)], () => ++asked < 10, sites, actors);
  assert.equal(named.size, 1);
  assert.equal(asked, 10);
});

test('a site that is not known is a question mark', () => {
  const sites = new SiteNames(new MemoryTreeStore(), actors);
  assert.match(suffixedName('x', loser('x', 7).entry, 1, sites, actors), /^x\.~\?-[a-z2-7]{4}$/);
});

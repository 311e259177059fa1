import assert from 'node:assert/strict';
import { test } from 'node:test';
import { READ_WRITE, type Member } from '../crdt/members.js';
import { MemberVectors } from './member-vectors.js';
import { SettledFrontier, stableFrontier } from './stable-frontier.js';

const [OSLO, ROME, LIMA, CAIRO] = ['0a', '0b', '0c', '0d'].map((byte) => byte.repeat(16)) as [
  string,
  string,
  string,
  string,
];
const A = 'a1'.repeat(16);
const B = 'b1'.repeat(16);

function member(siteId: string, kind: 'read-write' | 'read-only' | 'retired' = 'read-write'): Member {
  return { siteId, name: siteId.slice(0, 2), identity: null, addresses: [], role: { ...READ_WRITE, kind } };
}

const own = new Map([
  [A, 10],
  [B, 5],
]);

test('the frontier is what every member has', () => {
  const holdings = [
    { siteId: ROME, vector: new Map([[A, 7]]), seenMs: 50 },
    { siteId: LIMA, vector: new Map(own).set(A, 9), seenMs: 50 },
  ];
  const members = [member(OSLO), member(ROME), member(LIMA)];
  const { vector, standings } = stableFrontier(OSLO, own, members, holdings, 0);
  assert.deepEqual([...vector], [[A, 7]]);
  assert.deepEqual(
    standings.map(({ site, lacks }) => [site, lacks]),
    [
      ['0b', 8],
      ['0c', 1],
    ],
  );
});

test('a member that was never heard of holds everything back, a retired one nothing', () => {
  const members = [member(OSLO), member(ROME), member(LIMA, 'retired')];
  assert.equal(stableFrontier(OSLO, own, members, [], Infinity).vector.size, 0);
  const rome = { siteId: ROME, vector: own, seenMs: 50 };
  assert.deepEqual(stableFrontier(OSLO, own, members, [rome], 0).vector, own);
});

test('a member that was away for longer than is waited for holds nothing back', () => {
  const members = [member(OSLO), member(ROME), member(LIMA)];
  const holdings = [
    { siteId: ROME, vector: new Map([[A, 1]]), seenMs: 100 },
    { siteId: LIMA, vector: own, seenMs: 200 },
  ];
  const early = stableFrontier(OSLO, own, members, holdings, 100);
  assert.deepEqual([...early.vector], [[A, 1]]);
  const late = stableFrontier(OSLO, own, members, holdings, 101);
  assert.deepEqual(late.vector, own);
  assert.deepEqual(
    late.standings.map(({ isFenced, lacks }) => [isFenced, lacks]),
    [
      [true, 14],
      [false, 0],
    ],
  );
});

test('what was told once is not told again', () => {
  const known = new MemberVectors();
  const told = new MemberVectors();
  const but = new Set([CAIRO]);
  known.note({ siteId: ROME, vector: new Map([[A, 3]]), seenMs: 5 });
  known.note({ siteId: CAIRO, vector: own, seenMs: 5 });
  assert.deepEqual(known.untold(told, but), [{ siteId: ROME, vector: new Map([[A, 3]]), seenMs: 5 }]);
  assert.deepEqual(known.untold(told, but), []);
  known.note({ siteId: ROME, vector: new Map([[A, 2]]).set(B, 1), seenMs: 4 });
  assert.deepEqual(known.untold(told, but), [{ siteId: ROME, vector: new Map([[B, 1]]), seenMs: 5 }]);
  known.note({ siteId: ROME, vector: new Map(), seenMs: 70_000 });
  assert.deepEqual(known.untold(told, but), [{ siteId: ROME, vector: new Map(), seenMs: 70_000 }]);
});

test('a frontier is acted on when all is here that was at the sites that have it', () => {
  const members = [member(OSLO), member(ROME)];
  const rome = { siteId: ROME, vector: new Map(own).set(B, 6), seenMs: 5 };
  const settled = new SettledFrontier();
  const seen = (vector: typeof own) => stableFrontier(OSLO, vector, members, [rome], 0);
  assert.equal(settled.next(own, seen(own)), null);
  assert.equal(settled.next(own, seen(own)), null, 'what Rome wrote before it had all of this may be news');
  const later = new Map(own).set(B, 6);
  assert.ok(settled.isUnsettled);
  assert.deepEqual(settled.next(later, seen(later)), own);
  assert.ok(!settled.isUnsettled);
  assert.deepEqual(settled.next(later, seen(later)), later);
});

test('a frontier is acted on though a site that was retired since had changes that nobody takes from it', () => {
  const settled = new SettledFrontier();
  const lima = { siteId: LIMA, vector: new Map(own).set(B, 6), seenMs: 5 };
  const before = stableFrontier(OSLO, own, [member(OSLO), member(LIMA)], [lima], 0);
  const retired = stableFrontier(OSLO, own, [member(OSLO), member(LIMA, 'retired')], [lima], 0);
  assert.equal(settled.next(own, before), null);
  assert.equal(settled.next(own, before), null);
  assert.deepEqual(settled.next(own, retired), own);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Member, READ_WRITE } from '../crdt/members.js';
import { OtherSites, type PeerNeeds } from './other-sites.js';

const [A, B, C] = ['a', 'b', 'c'].map((digit) => digit.repeat(32)) as [string, string, string];

function member(siteId: string, name: string, role: Member['role'] = READ_WRITE): Member {
  return { siteId, name, role } as Member;
}

/** What site A knows of B, whom it met, and of C. */
class Knowledge {
  own = new Map<string, number>();
  b: PeerNeeds = { siteId: B, site: 'oslo', vector: new Map(), missingCount: 0 };
  c: Map<string, number> | undefined;
  members = [member(A, 'paris'), member(B, 'oslo')];
  readonly others = new OtherSites({
    siteId: A,
    vector: () => this.own,
    met: () => [this.b],
    members: () => this.members,
    holdings: () => (this.c ? [{ siteId: C, vector: this.c, seenMs: 1 }] : []),
  });

  get known(): [string, number][] {
    return [...this.others.acknowledged()!];
  }
}

test('content was lost that a change needs which another site had made when it acknowledged that nothing does', () => {
  const here = new Knowledge();
  here.own = new Map([['x', 5]]);
  here.b = {
    ...here.b,
    vector: new Map([
      ['x', 5],
      ['y', 3],
    ]),
  };
  assert.deepEqual(
    here.known,
    [],
    'change 3 of y is not here: it may build on anything that was there before change 5 of x',
  );
  assert.deepEqual(here.others.lagging(), ['oslo']);
  here.own.set('y', 3);
  here.b = {
    ...here.b,
    vector: new Map([
      ['x', 5],
      ['y', 4],
    ]),
  };
  assert.deepEqual(
    here.known,
    [
      ['x', 5],
      ['y', 3],
    ],
    'what it had when that was asked last is here now',
  );
});

test('content was lost that a site needs which this one has never met', () => {
  const here = new Knowledge();
  here.own = new Map([['x', 5]]);
  here.b = { ...here.b, vector: new Map([['x', 5]]) };
  assert.deepEqual(here.known, [['x', 5]]);
  here.members.push(member(C, 'rome'));
  assert.deepEqual(here.known, [], 'nothing is known of it');
  assert.deepEqual(here.others.lagging(), ['rome']);
  here.c = new Map([['x', 4]]);
  assert.deepEqual(here.known, [['x', 4]], 'oslo told of it');
  here.members[2] = member(C, 'rome', { ...READ_WRITE, kind: 'retired' });
  assert.deepEqual(here.known, [['x', 5]]);
});

test('content was kept for ever for a site that was met, and then retired', () => {
  const here = new Knowledge();
  here.own = new Map([['x', 5]]);
  here.members.push(member(C, 'rome'));
  here.c = new Map([['x', 5]]);
  assert.deepEqual(here.others.lagging(), ['oslo', 'rome']);
  here.members[1] = member(B, 'oslo', { ...READ_WRITE, kind: 'retired' });
  assert.deepEqual(here.known, [['x', 5]]);
  assert.deepEqual(here.others.lagging(), []);
});

test('a site that waits for objects may be given older ones', () => {
  const here = new Knowledge();
  here.own = new Map([['x', 5]]);
  here.b = { ...here.b, vector: new Map([['x', 4]]) };
  assert.deepEqual(here.known, [['x', 4]]);
  here.b = { ...here.b, vector: new Map([['x', 5]]), missingCount: 1 };
  assert.deepEqual(here.known, [['x', 4]]);
  here.b = { ...here.b, missingCount: 0 };
  assert.deepEqual(here.known, [['x', 5]]);
});

test('a site that is alone waits for nobody', () => {
  const alone = new OtherSites({
    siteId: A,
    vector: () => new Map(),
    met: () => [],
    members: () => [member(A, 'paris')],
    holdings: () => [],
  });
  assert.equal(alone.acknowledged(), null);
  assert.deepEqual(alone.lagging(), []);
});

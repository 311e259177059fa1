// first-fetch.test.ts — when a site that joins has enough to be mounted.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PeerStatus } from '../sync/roster.js';
import { fetchAll } from './first-fetch.js';

const LINKED = { state: 'connected', lastError: null } as PeerStatus;

test('a join never ended while the inviting site went on working', async () => {
  const first = 20;
  let [here, there] = [0, first];
  const syncer = {
    baseParts: 0,
    isTakingBase: false,
    peers: () => {
      there += 5;
      return [{ ...LINKED, behindCommits: there - here }];
    },
  };
  const vector = () => {
    here += 5;
    return new Map([['a', here]]);
  };
  const told: (number | null)[] = [];
  await fetchAll(syncer, vector, ({ total }) => told.push(total));
  assert.ok(here >= first, 'it has what was there when the two were linked');
  assert.equal(new Set(told).size, 1, 'what is told to be the whole stays the same');
});

test('a join gave up after a minute at the state of a large volume, which it had all of', async (t) => {
  let nowMs = 0;
  t.mock.method(performance, 'now', () => (nowMs += 40_000));
  let polls = 0;
  const syncer = {
    baseParts: 7,
    get isTakingBase() {
      return polls < 6;
    },
    peers: () => [{ ...LINKED, behindCommits: ++polls < 6 ? 20 : 0 }],
  };
  const vector = () => new Map(polls < 6 ? [] : [['a', 20]]);
  await fetchAll(syncer, vector, () => {});
  assert.equal(polls, 6);
});

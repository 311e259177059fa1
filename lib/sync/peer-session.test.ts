import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { VersionVector } from '../crdt/change.js';
import { helloOf } from './hello.test-support.js';
import type { Hello } from './message.js';
import { type Here, PeerSession } from './peer-session.js';

const [OSLO, ROME] = ['0a'.repeat(16), '0b'.repeat(16)] as const;

function hello(site: string, vector: VersionVector): Hello {
  return helloOf(Buffer.from(site.padEnd(16, '.')).toString('hex'), { site, vector });
}

function here(vector: VersionVector, floor: VersionVector): Here {
  return { vector, floor, missingCount: 0, maySend: true };
}

test('a site whose floor rises while a peer takes its base offers the peer the next one', () => {
  const session = new PeerSession();
  const all = new Map([
    [OSLO, 5],
    [ROME, 3],
  ]);
  const before = here(all, new Map([[OSLO, 5]]));
  const risen = here(all, all);
  const offers: VersionVector[] = [];
  const step = (input: Parameters<PeerSession['step']>[0], now: Here): void => {
    for (const effect of session.step(input, now)) if (effect.do === 'offerBase') offers.push(now.floor);
  };
  step({ on: 'opened', self: hello('oslo', all), provedSiteId: null }, before);
  step({ on: 'message', message: hello('paris', new Map()) }, before);
  step({ on: 'admitted' }, before);
  assert.deepEqual(offers, [before.floor]);
  step({ on: 'advanced' }, risen);
  assert.equal(offers.length, 1, 'the first one is under way');
  const took = { type: 'have', vector: new Map([[OSLO, 5]]), missingCount: 0, arrived: [] } as const;
  step({ on: 'message', message: took }, risen);
  assert.deepEqual(offers, [before.floor, risen.floor]);
  step({ on: 'advanced' }, risen);
  assert.equal(offers.length, 2);
  step({ on: 'message', message: { ...took, vector: new Map([[ROME, 3]]) } }, risen);
  assert.equal(offers.length, 2, 'it has all');
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import type { Ino } from '../crdt/ids.js';
import type { BaseOffer, BasePart } from '../journal/base-part.js';
import { BaseTransfers } from './base-transfers.js';
import type { Connection } from './connection.js';
import type { SyncStore } from './ports.js';

const OFFER = { id: 'one', actors: [{ actor: 'a', seq: 1 }] } as unknown as BaseOffer;
const PART = { id: 'one', after: -1, last: 7, done: false } as unknown as BasePart;

/** A peer, with what it is asked for. */
function peer(asked: unknown[]): Connection {
  const step = (event: unknown): void => void asked.push(event);
  return { peer: { siteId: 'paris' }, step, reject: (error: Error) => asked.push(error.message) } as never;
}

/** A transfer that began, and of which the first part came. */
async function begun(storeBase: SyncStore['storeBase']) {
  const asked: unknown[] = [];
  const paris = peer(asked);
  const store = { vector: () => new Map(), takeOffer: async () => -1, storeBase } as unknown as SyncStore;
  const transfers = new BaseTransfers(store);
  transfers.offered(paris, OFFER);
  await turn();
  transfers.took(paris, PART);
  return { transfers, asked };
}

test('a peer lost its turn while this site was at work on what it had sent', async () => {
  let stored: (after: Ino | null) => void = () => {};
  const { transfers, asked } = await begun(() => new Promise<Ino | null>((resolve) => (stored = resolve)));
  for (let second = 0; second < 200; second++) transfers.tick();
  assert.ok(transfers.isTaking);
  stored(7);
  await turn();
  assert.ok(!transfers.isTaking);
  assert.equal(transfers.parts, 1);
  const ask = (after: number) => ({ on: 'wantBase', id: 'one', after });
  assert.deepEqual(asked, [ask(-1), ask(7)]);
});

test('a peer that sends nothing for long loses its turn to another one', async () => {
  const store = { vector: () => new Map(), takeOffer: async () => -1 } as unknown as SyncStore;
  const [first, second]: unknown[][] = [[], []];
  const transfers = new BaseTransfers(store);
  transfers.offered(peer(first!), OFFER);
  transfers.offered(peer(second!), OFFER);
  await turn();
  assert.deepEqual([first!.length, second!.length], [1, 0]);
  for (let seconds = 0; seconds < 61; seconds++) transfers.tick();
  await turn();
  assert.deepEqual([first!.length, second!.length], [1, 1]);
});

test('a part that this site has no room for is not counted, and ends the link with the reason', async () => {
  const reason = 'the disk has no room';
  const { transfers, asked } = await begun(async () => Promise.reject(new Error(reason)));
  await turn();
  assert.equal(asked.at(-1), reason);
  assert.deepEqual([transfers.parts, transfers.isTaking], [0, false]);
});

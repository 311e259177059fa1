import assert from 'node:assert/strict';
import { test } from 'node:test';

import { DurableCommits } from './durable-commits.js';
import { SyncPacing } from './sync-pacing.js';

test('with a peer, a commit after a quiet time is synced at once; in a burst syncs take a fifth of the time', () => {
  const pacing = new SyncPacing();
  pacing.committed(1000, false);
  assert.ok(pacing.mayWaitMs(1000, true) <= 0);
  pacing.began(1000);
  pacing.ended(1003);
  pacing.committed(1004, false);
  assert.equal(pacing.mayWaitMs(1004, true), 11);
  assert.equal(pacing.mayWaitMs(1015, true), 0);
});

test('a slow disk does not keep peers waiting for more than 50 ms', () => {
  const pacing = new SyncPacing();
  pacing.began(0);
  pacing.ended(400);
  pacing.committed(401, false);
  assert.equal(pacing.mayWaitMs(400, true), 50);
});

test('without a peer, commits share a sync a second, unless the log fills', () => {
  const pacing = new SyncPacing();
  pacing.committed(5000, false);
  pacing.committed(5700, false);
  assert.equal(pacing.mayWaitMs(5700, false), 300);
  pacing.committed(5800, true);
  assert.ok(pacing.mayWaitMs(5800, false) <= 0);
  pacing.began(5800);
  pacing.ended(5801);
  pacing.committed(5802, false);
  assert.equal(pacing.mayWaitMs(5802, false), 1000);
});

const commit = (number: number): Parameters<DurableCommits['committed']>[0] => ({
  type: 'committed',
  commit: number,
  vector: [['a', number]],
  missing: 0,
  unsharedFrom: null,
  unsynced: [],
  pressing: false,
  commits: 0,
});

test('commits share a sync, and whoever waits for one does not wait for company', async () => {
  let syncs = 0;
  const sync = async (): Promise<void> => void syncs++;
  const failed = (error: Error): never => assert.fail(error);
  const durable = new DurableCommits(
    sync,
    () => {},
    failed,
    () => 60_000,
  );
  for (let i = 1; i <= 3; i++) durable.committed(commit(i));
  await new Promise((resolve) => setTimeout(resolve, 5));
  assert.equal(syncs, 0);
  await durable.reached(2);
  assert.equal(syncs, 1);
  assert.deepEqual([...durable.vector], [['a', 3]]);
});

test('a peer that connects ends the wait', async () => {
  let linked = false;
  const advanced = new Promise<number>((resolve) => {
    const failed = (error: Error): never => assert.fail(error);
    const durable = new DurableCommits(
      async () => {},
      resolve,
      failed,
      () => (linked ? 0 : 60_000),
    );
    durable.committed(commit(7));
    setTimeout(() => {
      linked = true;
      durable.reconsider();
    }, 5);
  });
  assert.equal(await advanced, 7);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DurableCommits } from './durable-commits.js';

const PARIS = 'aa';

/** A site whose syncs end when told to; `told`: what it said then. */
function site(): { durable: DurableCommits; told: string[]; synced: () => Promise<void> } {
  const told: string[] = [];
  const syncs: (() => void)[] = [];
  const durable: DurableCommits = new DurableCommits(
    () => new Promise((resolve) => syncs.push(resolve)),
    (commit) => told.push(`${commit}: ${durable.vector.get(PARIS)} changes, ${durable.missing} missing`),
    assert.ifError,
  );
  const synced = async (): Promise<void> => {
    syncs.shift()!();
    await new Promise(setImmediate);
  };
  return { durable, told, synced };
}

async function commit(durable: DurableCommits, number: number, missing: number): Promise<void> {
  durable.committed({
    type: 'committed',
    commit: number,
    vector: [[PARIS, number]],
    missing,
    unsharedFrom: null,
    unsynced: [],
    pressing: false,
    commits: number,
  });
  await new Promise(setImmediate);
}

test('commits that one sync covers are told at once, as they are at the end', async () => {
  const { durable, told, synced } = site();
  for (const [number, missing] of [
    [1, 2],
    [2, 3],
    [3, 1],
  ] as const) {
    await commit(durable, number, missing);
  }
  assert.deepEqual(told, []);
  await synced();
  assert.deepEqual(told, ['1: 1 changes, 2 missing']);
  await synced();
  assert.deepEqual(told.slice(1), ['3: 3 changes, 1 missing']);
});

test('while others write all the time, a moment at which nothing was missing is told before what came after it', async () => {
  const { durable, told, synced } = site();
  for (const [number, missing] of [
    [1, 1],
    [2, 0],
    [3, 1],
    [4, 0],
    [5, 2],
  ] as const) {
    await commit(durable, number, missing);
  }
  const reached = durable.reached(5);
  await synced();
  await synced();
  await reached;
  assert.deepEqual(told.slice(1), ['4: 4 changes, 0 missing', '5: 5 changes, 2 missing']);
});

test('an orderly end removes the log of the state while it is being synced, and the disk is said to have failed', async () => {
  const { durable, synced } = site();
  await durable.settled();
  await commit(durable, 1, 0);
  await commit(durable, 2, 0);
  let isSettled = false;
  const settled = durable.settled().then(() => (isSettled = true));
  await synced();
  assert.ok(!isSettled, 'the second commit is still being synced');
  await synced();
  await settled;
});

test('an orderly end waits for a sync after the disk failed', async () => {
  const failures: Error[] = [];
  const durable = new DurableCommits(
    () => Promise.reject(new Error('EIO')),
    () => {},
    (error) => failures.push(error),
  );
  await commit(durable, 1, 0);
  await durable.settled();
  assert.equal(failures.length, 1);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Random } from './random.js';
import { Timeline } from './timeline.js';

test('events happen in the order of their times, those of one time as they were planned', async () => {
  const timeline = new Timeline();
  const random = new Random(1);
  const happened: { atMs: number; planned: number }[] = [];
  for (let planned = 0; planned < 500; planned++) {
    const atMs = random.below(50);
    timeline.after(atMs, () => happened.push({ atMs: timeline.nowMs, planned }));
    if (random.chance(0.2)) timeline.after(atMs, () => assert.fail('cancelled'))();
  }
  await timeline.run(100);
  assert.equal(happened.length, 500);
  assert.deepEqual(
    happened,
    happened.toSorted((a, b) => a.atMs - b.atMs || a.planned - b.planned),
  );
  assert.equal(timeline.nowMs, 100);
});

test('what an event promised is done before the next event', async () => {
  const timeline = new Timeline();
  const order: string[] = [];
  timeline.after(1, () => {
    void Promise.resolve()
      .then(() => Promise.resolve())
      .then(() => order.push('promise'));
  });
  timeline.after(1, () => order.push('event'));
  await timeline.run(2);
  assert.deepEqual(order, ['promise', 'event']);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HybridClock, MAX_DRIFT_US } from './stamp.js';

test('stamps follow the wall clock and never go back with it', () => {
  const clock = new HybridClock();
  assert.equal(clock.next(1000.7), 1000);
  assert.equal(clock.next(1000), 1001);
  assert.equal(clock.next(500), 1002);
  assert.equal(clock.next(2000), 2000);
});

test('stamps are above everything seen, also what was seen before a restart', () => {
  const clock = new HybridClock(7000);
  assert.equal(clock.next(10), 7001);
  assert.equal(clock.observe(9000, 10), 0);
  assert.equal(clock.last, 9000);
  assert.equal(clock.next(10), 9001);
  clock.observe(5, 10);
  assert.equal(clock.next(10), 9002);
});

test('a stamp far ahead of the wall clock is accepted and reported', () => {
  const clock = new HybridClock();
  assert.equal(clock.observe(1000 + MAX_DRIFT_US, 1000), 0);
  assert.equal(clock.observe(1001 + MAX_DRIFT_US, 1000), MAX_DRIFT_US + 1);
  assert.equal(clock.next(1000), 1002 + MAX_DRIFT_US);
});

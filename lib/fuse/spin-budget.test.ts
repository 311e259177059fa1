import assert from 'node:assert/strict';
import { test } from 'node:test';

import { SpinBudget } from './spin-budget.js';

test('where requests come quickly, the thread polls', () => {
  const spin = new SpinBudget();
  for (let i = 0; i < 100; i++) spin.arrived(0.01);
  assert.ok(spin.budgetMs(0) > 0);
});

test('where requests come rarely, it sleeps at once, until they come quickly again', () => {
  const spin = new SpinBudget();
  for (let i = 0; i < 100; i++) spin.arrived(50);
  assert.equal(spin.budgetMs(0), 0);
  for (let i = 0; i < 20; i++) spin.arrived(0.02);
  assert.ok(spin.budgetMs(0) > 0);
});

test('where another thread wants the processor, it pauses, longer each time', () => {
  const spin = new SpinBudget();
  for (let i = 0; i < 100; i++) spin.arrived(0.01);
  let now = 1000;
  const pauses: number[] = [];
  for (let i = 0; i < 8; i++) {
    assert.equal(spin.yielded(3, now), false);
    const start = now;
    while (spin.budgetMs(now) === 0) now++;
    pauses.push(now - start);
  }
  assert.deepEqual(pauses, [20, 40, 80, 160, 320, 640, 640, 640]);
  now += 10_000;
  spin.yielded(3, now);
  assert.equal(spin.budgetMs(now + 19), 0);
  assert.ok(spin.budgetMs(now + 20) > 0, 'after a quiet time it begins anew');
});

test('short yields do not matter', () => {
  const spin = new SpinBudget();
  assert.equal(spin.yielded(0.01, 5), true);
  assert.ok(spin.budgetMs(5) > 0);
});

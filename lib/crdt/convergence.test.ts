import assert from 'node:assert/strict';
import { test } from 'node:test';
import { causalOrders, partitioned } from './convergence.test-support.js';

test('every order of two histories of three changes each: twenty, each with causes first', () => {
  const [oslo, paris] = partitioned((site) => site.mkdir('d'));
  const common = oslo.changes.length;
  for (const name of ['a', 'b', 'c']) oslo.mkdir(name);
  for (const name of ['x', 'y']) paris.mkdir(name);
  const own = [...oslo.changes.slice(common), ...paris.changes.slice(common)];
  const orders = causalOrders([...oslo.changes.slice(0, common), ...own], 100)!;
  assert.equal(own.length, 6, 'a site names itself with its first change');
  assert.equal(orders.length, 20);
  const texts = orders.map((order) => order.map(({ actor, seq }) => `${actor} ${seq}`).join());
  assert.equal(new Set(texts).size, 20);
  for (const order of orders) assert.deepEqual(order.slice(0, common), oslo.changes.slice(0, common));
  assert.equal(causalOrders([...oslo.changes.slice(0, common), ...own], 19), null);
});

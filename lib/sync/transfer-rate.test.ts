import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TransferRate } from './transfer-rate.js';

test('a rate is that of the last seconds, through a new link, and falls to nothing when nothing comes', () => {
  const rate = new TransferRate();
  assert.equal(rate.bytesPerS, 0);
  rate.sample(0, 0);
  for (let second = 1; second <= 10; second++) rate.sample(second * 1000, second * 500);
  assert.equal(rate.bytesPerS, 500);
  for (let second = 11; second <= 15; second++) rate.sample(second * 1000, (second - 10) * 2000);
  assert.equal(rate.bytesPerS, 2000, 'the count of the new link begins at nothing');
  for (let second = 16; second <= 21; second++) rate.sample(second * 1000, 10_000);
  assert.equal(rate.bytesPerS, 0);
});

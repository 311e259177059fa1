// measurements.test.ts — medians, means and ratios.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { geometricMean, Measurements, median, percentile, timeRatio } from './measurements.js';

test('statistics of small samples', () => {
  assert.equal(median([3, 1, 2]), 2);
  assert.equal(median([4, 1, 2, 3]), 2.5);
  assert.equal(percentile([10, 20, 30, 40, 50], 100), 50);
  assert.equal(percentile([10, 20], 75), 17.5);
  assert.ok(Math.abs(geometricMean([0.5, 2]) - 1) < 1e-12);
  assert.throws(() => median([]), /no values/);
});

test('rows hold medians by place, and ratios of times whatever the unit', () => {
  const measurements = new Measurements();
  for (const value of [30, 10, 20]) measurements.add('weft', { operation: 'create', unit: 'us', value });
  measurements.add('bindfs', { operation: 'create', unit: 'us', value: 40 });
  measurements.add('weft', { operation: 'read', unit: 'MB/s', value: 200 });
  measurements.add('bindfs', { operation: 'read', unit: 'MB/s', value: 100 });
  const [create, read] = measurements.rows();
  assert.deepEqual(create, { operation: 'create', unit: 'us', medians: { weft: 20, bindfs: 40 } });
  assert.equal(timeRatio(create!, 'weft', 'bindfs'), 0.5);
  assert.equal(timeRatio(read!, 'weft', 'bindfs'), 0.5);
  assert.equal(timeRatio(read!, 'weft', 'local'), null);
});

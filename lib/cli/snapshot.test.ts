import assert from 'node:assert/strict';
import { test } from 'node:test';
import { UsageError } from './failure.js';
import { parseSizeBytes } from './size.js';
import { keepTable } from './snapshot.js';

test('sizes are read as people write them', () => {
  assert.equal(parseSizeBytes('4096', '--space'), 4096);
  assert.equal(parseSizeBytes('1.5K', '--space'), 1536);
  assert.equal(parseSizeBytes('10GiB', '--space'), 10 * 2 ** 30);
  assert.equal(parseSizeBytes('10g', '--space'), 10 * 2 ** 30);
  for (const text of ['', 'G', '-1', '10X', '9999999P'])
    assert.throws(() => parseSizeBytes(text, '--space'), UsageError, text);
});

test('what is kept is told for the volume, the site and both', () => {
  const table = keepTable({
    volume: { age: 30 * 86_400, count: 100 },
    site: { bytes: 10 * 2 ** 30, age: 90 },
    inForce: { age: 90, count: 1e9, bytes: 10 * 2 ** 30 },
  });
  assert.deepEqual(
    table.split('\n').map((line) => line.split(/ {2,}/)),
    [
      ['OLD VERSIONS', 'AGE', 'COUNT', 'SPACE'],
      ['volume', '30d', '100', '-'],
      ['this site', '90s', '-', '10 GiB'],
      ['in force here', '90s', 'all', '10 GiB'],
    ],
  );
});

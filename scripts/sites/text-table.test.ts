// text-table.test.ts — alignment of columns.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { textTable } from './text-table.js';

test('columns are as wide as their widest cell', () => {
  const table = textTable(['NAME', 'µs'], [['create', '9.5'], ['stat', '120.0'], ['x']], 1);
  assert.equal(table, ['NAME       µs', 'create    9.5', 'stat    120.0', 'x'].join('\n'));
});

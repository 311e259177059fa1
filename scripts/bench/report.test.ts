// report.test.ts — the tables say what was measured.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Row } from './measurements.js';
import {
  comparisonTable,
  directoryGrowth,
  growthTable,
  metadataMean,
  requestTable,
  SINGLE_METADATA,
} from './report.js';

test('places side by side with ratios of times', () => {
  const rows: Row[] = [
    { operation: 'create', unit: 'us', medians: { local: 40, bindfs: 400, weft: 100 } },
    { operation: 'seq read', unit: 'MB/s', medians: { local: 2000, bindfs: 500, weft: 1000 } },
    { operation: 'visible', unit: 'us', medians: { weft: 8000 } },
  ];
  assert.equal(
    comparisonTable(rows, ['local', 'bindfs', 'weft']),
    [
      'OPERATION  UNIT  local  bindfs   weft  weft/bindfs  weft/local',
      'create     µs    40.00   400.0  100.0         0.25        2.50',
      'seq read   MB/s   2000   500.0   1000         0.50        2.00',
      'visible    µs        -       -   8000            -           -',
    ].join('\n'),
  );
  assert.equal(comparisonTable(rows.slice(0, 1), ['local']), 'OPERATION  UNIT  local\ncreate     µs    40.00');
});

test('the mean needs every single metadata operation at both places', () => {
  const rows: Row[] = SINGLE_METADATA.map((operation) => ({ operation, unit: 'us', medians: { bindfs: 10, weft: 4 } }));
  assert.ok(Math.abs(metadataMean(rows, 'bindfs')! - 0.4) < 1e-12);
  assert.equal(metadataMean(rows.slice(1), 'bindfs'), null);
  assert.equal(metadataMean(rows, 'local'), null);
});

test('growth is what one file costs in the large directory over the small one', () => {
  const rows: Row[] = [
    { operation: '1000 files: create', unit: 'us', medians: { weft: 50, local: 10 } },
    { operation: '100000 files: create', unit: 'us', medians: { weft: 60, local: 10 } },
  ];
  const growth = directoryGrowth(rows, 1000, 100_000);
  assert.equal(growthTable(growth, ['local', 'weft']), 'PER FILE  local  weft\ncreate     1.00  1.20');
});

test('requests are shown per call, the most frequent first', () => {
  const counts = new Map([
    [
      'weft',
      new Map([
        [
          'create',
          new Map([
            ['LOOKUP', 100],
            ['CREATE', 200],
          ]),
        ],
      ]),
    ],
  ] as const);
  assert.equal(
    requestTable(counts, () => 200),
    'REQUESTS PER  weft\ncreate        1.50  CREATE 1.00, LOOKUP 0.50',
  );
});

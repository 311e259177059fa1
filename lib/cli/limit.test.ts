import assert from 'node:assert/strict';
import { test } from 'node:test';
import { UsageError } from './failure.js';
import { describeLimits, parseDayPart } from './limit.js';

test('parts of a day are read, and what is none is refused with an example', () => {
  assert.deepEqual(parseDayPart('08:00-18:30'), { from: 480, to: 1110 });
  assert.deepEqual(parseDayPart('22:00-6:00'), { from: 1320, to: 360 });
  assert.deepEqual(parseDayPart('00:00-24:00'), { from: 0, to: 1440 });
  for (const text of ['', '8-18', '25:00-26:00', '08:60-09:00', '08:00-08:00', '08:00'])
    assert.throws(() => parseDayPart(text), UsageError, text);
});

test('limits are shown rule by rule, and what holds now', () => {
  assert.equal(describeLimits({ rules: [], now: { upBytesPerS: null, downBytesPerS: null } }), 'no limits');
  const always = { between: null, upBytesPerS: null, downBytesPerS: 10 << 20 };
  const byDay = { between: { from: 480, to: 1080 }, upBytesPerS: 512 << 10, downBytesPerS: null };
  assert.equal(
    describeLimits({ rules: [always, byDay], now: { upBytesPerS: 512 << 10, downBytesPerS: 10 << 20 } }),
    [
      'WHEN         UP         DOWN',
      'always       no limit   10 MiB/s',
      '08:00-18:00  512 KiB/s  no limit',
      'now          512 KiB/s  10 MiB/s',
    ].join('\n'),
  );
});

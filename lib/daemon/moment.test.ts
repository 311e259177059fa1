import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isRelative, parseMoment } from './moment.js';

const NOW_MS = Date.UTC(2026, 10, 21, 12, 0, 0);

test('moments are read as they are written', () => {
  const at = (text: string): string | undefined => {
    const stamp = parseMoment(text, NOW_MS);
    return stamp === undefined ? undefined : new Date(stamp / 1000).toISOString();
  };
  assert.equal(at('2h'), '2026-11-21T10:00:00.000Z');
  assert.equal(at('1.5d'), '2026-11-20T00:00:00.000Z');
  assert.equal(at('2026-11-21T06:00Z'), '2026-11-21T06:00:00.000Z');
  assert.equal(at('2026-11-21T06:00:30.25+02:00'), '2026-11-21T04:00:30.250Z');
  assert.equal(parseMoment('2026-11-21T06:00:30.000001Z', NOW_MS)! % 1e6, 1);
  assert.equal(at('2026-11-21T06:00'), new Date(2026, 10, 21, 6).toISOString());
  assert.equal(at('2026-11-21 06:00'), new Date(2026, 10, 21, 6).toISOString());
  assert.equal(at('2026-11-21'), new Date(2026, 10, 21).toISOString());
});

test('what is no moment is none', () => {
  for (const text of [
    '',
    'before',
    '2',
    'h',
    '2h30',
    '2026-13-01',
    '2026-02-31',
    '2026-11-21T24:00',
    '2026-1-1',
    '12-9fe3a1',
  ])
    assert.equal(parseMoment(text, NOW_MS), undefined, text);
  assert.ok(isRelative('2h'));
  assert.ok(!isRelative('2026-11-21'));
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { describeJournal } from './journal.js';
import { timeText } from './time-text.js';

test('the journal of a site alone is said in two lines', () => {
  const text = describeJournal({ bytes: 2048, since: null, heldBy: 'history', awayMs: 30 * 86_400_000, sites: [] });
  assert.equal(text, '2.0 KiB, from the beginning on; kept for history\na site that is away is waited for 30 days');
});

test('who is behind, and who is waited for no more, stands in a row each', () => {
  const seen = '2026-11-01T10:00:00.000Z';
  const sites = [
    { site: 'rome', lacks: 1234, seen, fenced: true },
    { site: 'oslo', lacks: 0, seen: null, fenced: false },
  ];
  const lines = describeJournal({ bytes: 0, since: seen, heldBy: null, awayMs: 7_200_000, sites }).split('\n');
  assert.equal(lines[0], `0 B, from ${timeText(Date.parse(seen))} on`);
  assert.equal(lines[1], 'a site that is away is waited for 120 minutes');
  assert.match(lines[4]!, /^rome +1.234 +.* no more/);
  assert.match(lines[5]!, /^oslo +0 +not heard of yet +yes$/);
});

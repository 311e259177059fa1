import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseDurationMs } from './duration.js';
import { oneLine, shellWord, UsageError } from './failure.js';
import { logLineText } from './daemon-log.js';
import { progressText } from './progress-line.js';
import { countText, groupDigits, nameText, renderTable, sizeText } from './text-table.js';

test('columns are aligned by characters, with nothing at the end of a line', () => {
  assert.equal(
    renderTable([
      ['A', 'B', ''],
      ['größe', 'x', 'y'],
    ]),
    'A      B\ngröße  x  y',
  );
});

test('columns on the right are aligned right, as wide as their widest cell; a row may lack its last columns', () => {
  const table = renderTable([['NAME', 'µs'], ['create', '9.5'], ['stat', '120.0'], ['x']], 1);
  assert.equal(table, ['NAME       µs', 'create    9.5', 'stat    120.0', 'x'].join('\n'));
});

test('counts and sizes', () => {
  assert.deepEqual([0, 999, 1204, 1234567].map(groupDigits), ['0', '999', '1 204', '1 234 567']);
  assert.deepEqual(
    [0, 1, 1204].map((count) => countText(count, 'change')),
    ['0 changes', '1 change', '1 204 changes'],
  );
  assert.deepEqual([0, 1023, 1536, 18_432, 5 * 2 ** 30].map(sizeText), [
    '0 B',
    '1023 B',
    '1.5 KiB',
    '18 KiB',
    '5.0 GiB',
  ]);
  assert.equal(progressText('changes', 1204, 5000), '1 204 of 5 000 changes…');
  assert.equal(progressText('objects', 7, null), '7 objects…');
});

test('file names reach a terminal as text, never as control characters', () => {
  assert.equal(nameText(Buffer.from('/dir/plän.md').toString('latin1')), '/dir/plän.md');
  assert.equal(nameText('caf\xe9'), 'caf\\xe9');
  assert.equal(nameText('a\x1b[2Jb\n'), 'a\\x1b[2Jb\\x0a');
  assert.equal(nameText('already Łódź'), 'already Łódź');
  fc.assert(
    fc.property(fc.uint8Array(), (bytes) => {
      assert.doesNotMatch(nameText(Buffer.from(bytes).toString('latin1')), /\p{Cc}/u);
    }),
  );
});

test('durations', () => {
  const cases: [string, number][] = [
    ['90', 90_000],
    ['500ms', 500],
    ['1.5h', 5_400_000],
    ['7d', 604_800_000],
  ];
  for (const [text, ms] of cases) assert.equal(parseDurationMs(text, '--timeout'), ms);
  for (const bad of ['', '0', '-1', 'soon', '1w', '1e9', '99999d', 'NaN']) {
    assert.throws(() => parseDurationMs(bad, '--timeout'), UsageError, bad);
  }
});

test('messages are one line, and paths in remedies can be pasted', () => {
  assert.equal(oneLine('Invalid values:\n  Argument: x\n\nmore\n'), 'Invalid values: Argument: x; more');
  assert.equal(shellWord('/mnt/team'), '/mnt/team');
  assert.equal(shellWord("/mnt/it's mine"), `'/mnt/it'\\''s mine'`);
});

test('a line of the log as text; a line that a crash left is shown as it is', () => {
  const line = '{"level":30,"time":"2026-01-02T03:04:05.678Z","mountpoint":"/mnt","peers":2,"msg":"mounted"}';
  assert.equal(logLineText(line), '2026-01-02T03:04:05.678Z info  mounted mountpoint=/mnt peers=2');
  for (const raw of ['Segmentation fault', '{"half":', '[1]', 'null']) assert.equal(logLineText(raw), raw);
});

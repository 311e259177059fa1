import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readVerdict } from './verdict.js';

test('a schedule that failed, and none', () => {
  assert.deepEqual(readVerdict('\nSEED 12 fails: divergence: at oslo\n  more\n'), {
    kind: 'failed',
    seed: 12,
    what: 'divergence: at oslo',
  });
  assert.deepEqual(readVerdict('WHAT COUNT\nseeds from 1 on: 300 schedules in 9 s, 0 failed\n'), { kind: 'passed' });
});

test('a mutant that does not even start is not caught by a schedule', () => {
  for (const output of ['', 'SyntaxError: Unexpected token\n', 'a thread ended with code 1\nusage: simulate …\n'])
    assert.deepEqual(readVerdict(output), { kind: 'unknown', printed: output.trim() });
});

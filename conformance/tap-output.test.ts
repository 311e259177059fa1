// tap-output.test.ts — reading of TAP, as prove(1) understands it.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseTap } from './tap-output.js';

test('assertions, with and without numbers and words', () => {
  const tap = parseTap(
    "1..5\nok 1\nok\nnot ok 3 - tried 'mkdir x', expected 0, got EEXIST\n# comment\nok 4 - fine\nok 5 # SKIP no chflags\n",
  );
  assert.deepEqual(tap.passed, [1, 2, 4, 5]);
  assert.deepEqual(tap.skipped, [5]);
  assert.deepEqual(tap.failed, [{ number: 3, message: "tried 'mkdir x', expected 0, got EEXIST" }]);
});

test('a failing assertion with the directive TODO of the protocol does not count against the program', () => {
  assert.deepEqual(parseTap('1..1\nnot ok 1 # TODO Linux differs\n').failed, []);
});

test('assertions that were announced and never came are failures', () => {
  assert.deepEqual(
    parseTap('1..3\nok 1\n').failed.map(({ number }) => number),
    [2, 3],
  );
  assert.equal(parseTap('').planned, null);
});

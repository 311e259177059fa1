// lib/crdt/MERGE.md is executable: every row has a scenario, and a test of the pure core.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { mergeRows, rowMistakes } from './merge-rows.js';
import { parseScenario } from './parse-scenario.js';
import { readyScenarios } from './ready-scenarios.js';

test('every row of MERGE.md has a scenario and a test of the pure core, and no scenario names a row that is not there', () => {
  assert.ok(mergeRows().length >= 33);
  assert.deepEqual(rowMistakes(mergeRows(), readyScenarios()), []);
});

test('a row that is misspelt is named with the file', () => {
  const [first] = mergeRows();
  const stray = parseScenario('stray.scenario', 'row: write ∥ wriet\nsites: a b\n');
  const mistakes = rowMistakes([first!], [stray]);
  assert.ok(mistakes.includes('stray.scenario: lib/crdt/MERGE.md has no row "write ∥ wriet"'));
  assert.ok(mistakes.includes(`row "${first!.name}" has no scenario`));
});

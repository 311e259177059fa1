// The table is about the program as it is: each text that an entry replaces is there, once.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { MUTANTS } from './table.js';

for (const { rule, file, from, to } of MUTANTS)
  test(`can be switched off: ${rule}`, () => {
    const text = readFileSync(new URL(`../../lib/${file}`, import.meta.url), 'utf8');
    assert.equal(text.split(from).length - 1, 1, `${file} has not exactly one ${JSON.stringify(from)}`);
    assert.notEqual(from, to);
  });

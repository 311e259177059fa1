import assert from 'node:assert/strict';
import { cpSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { isCopy, recordOrigin } from './state-origin.js';

let scratch: string;
let state: string;
let backup: string;
beforeEach(() => {
  scratch = mkdtempSync(join(tmpdir(), 'weft-origin-'));
  state = mkdtempSync(join(scratch, 'state-'));
  backup = join(scratch, 'backup');
});
afterEach(() => rmSync(scratch, { recursive: true }));

const copy = (from: string, to: string): void => cpSync(from, to, { recursive: true, preserveTimestamps: true });

test('a state directory is no copy of itself, also under another name, and a new one is none', () => {
  assert.equal(isCopy(state), false);
  recordOrigin(state);
  assert.equal(isCopy(state), false);
  renameSync(state, backup);
  assert.equal(isCopy(backup), false);
});

test('a state directory put back from a backup is a copy until it is used', () => {
  recordOrigin(state);
  copy(state, backup);
  assert.equal(isCopy(backup), true);
  rmSync(state, { recursive: true });
  copy(backup, state);
  assert.equal(isCopy(state), true);
  recordOrigin(state);
  assert.equal(isCopy(state), false);
});

test('a backup that is copied over the directory it was made of is a copy', () => {
  recordOrigin(state);
  copy(state, backup);
  recordOrigin(state);
  copy(backup, state);
  assert.equal(isCopy(state), true);
});

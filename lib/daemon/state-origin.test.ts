import assert from 'node:assert/strict';
import { cpSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { isCopy, mayLackUnsynced, recordOrigin } from './state-origin.js';

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

test('what was not synced may be missing after another boot, on another device, and in a copy', () => {
  assert.equal(mayLackUnsynced(state), false, 'of a new one nothing can be');
  recordOrigin(state);
  assert.equal(mayLackUnsynced(state), false, 'the process alone ended');
  copy(state, backup);
  assert.equal(mayLackUnsynced(backup), true, 'a copy');
  const path = join(state, 'origin.json');
  const recorded = JSON.parse(readFileSync(path, 'utf8')) as Record<string, string>;
  for (const changed of [{ boot: 'another' }, { device: '1' }]) {
    writeFileSync(path, JSON.stringify({ ...recorded, ...changed }));
    assert.equal(mayLackUnsynced(state), true, JSON.stringify(changed));
  }
  const isKnown = recorded['filesystem'] !== '';
  for (const [filesystem, mayLack] of [
    ['ext4 1', isKnown],
    ['', false],
    [undefined, false],
  ] as const) {
    writeFileSync(path, JSON.stringify({ ...recorded, filesystem }));
    assert.equal(mayLackUnsynced(state), mayLack, `mounted anew: ${filesystem}`);
  }
  const { inode, birthNs } = recorded;
  writeFileSync(path, JSON.stringify({ inode, birthNs }));
  assert.equal(mayLackUnsynced(state), false, 'written by a version that did not say');
  writeFileSync(path, 'not JSON');
  assert.equal(mayLackUnsynced(state), true);
});

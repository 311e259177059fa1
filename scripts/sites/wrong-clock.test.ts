import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { removeLeftovers } from './wrong-clock.js';

test('killed processes with a wrong clock left shared memory behind', (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'weft-wrong-clock-'));
  t.after(() => rmSync(directory, { recursive: true }));
  const { pid } = spawnSync('true');
  const kept = [`faketime_shm_${process.pid}`, 'other'];
  for (const name of [...kept, `faketime_shm_${pid}`, `sem.faketime_sem_${pid}`])
    writeFileSync(join(directory, name), '');
  removeLeftovers(directory);
  assert.deepEqual(readdirSync(directory).toSorted(), kept);
});

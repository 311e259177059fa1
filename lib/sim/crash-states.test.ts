// crash-states.test.ts — a few of the states that power loss could leave at every step of two recorded histories. Many: make crashes.

import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { test } from 'node:test';
import { scratchDirectory } from './scratch-directory.js';
import { simulate } from './simulation.js';

test('whatever of the unsynced sectors and names power loss leaves, the state opens and lacks nothing that was durable', async () => {
  const { path } = scratchDirectory();
  try {
    for (const seed of [2, 3]) {
      const { wrong, totals } = await simulate({ seed, sites: 2, steps: 40, crashStates: 2 }, path);
      assert.deepEqual(wrong, [], `make crashes SEED=${seed} SCHEDULES=1 SITES=2 STEPS=40`);
      assert.ok(totals.of('crash states') > 20);
    }
  } finally {
    rmSync(path, { recursive: true, force: true });
  }
});

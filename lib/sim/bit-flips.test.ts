// SEED and TRIALS in the environment choose others than the slice that every run of the tests plays: `make flips`.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ALL_TARGETS, BitFlips } from './bit-flips.test-support.js';

const FIRST_SEED = Number(process.env['SEED'] || 1);
const TRIALS = Number(process.env['TRIALS'] || 36);

test('a flipped bit in anything that is stored is told, nothing false is shown for it, and it is repaired', async (t) => {
  const flips = await BitFlips.prepare();
  const counts = new Map<string, number>();
  try {
    for (let seed = FIRST_SEED; seed < FIRST_SEED + TRIALS; seed++) {
      const { target, where, toldBy, wrong } = await flips.run(seed, ALL_TARGETS[seed % ALL_TARGETS.length]!);
      assert.deepEqual(wrong, [], `make flips SEED=${seed} TRIALS=1: ${target}, ${where}`);
      const how = `${target}: ${toldBy === null ? 'no harm' : `told by ${toldBy}`}`;
      counts.set(how, (counts.get(how) ?? 0) + 1);
    }
  } finally {
    flips.remove();
  }
  for (const [how, count] of [...counts].toSorted()) t.diagnostic(`${count} ${how}`);
});

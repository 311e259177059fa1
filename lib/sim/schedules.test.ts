// The fixed slice of `make soak` that every `make test` plays.

import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { formatHistory } from './history.js';
import { scratchDirectory } from './scratch-directory.js';
import { shrink } from './shrink.js';
import { simulate } from './simulation.js';
import { Totals } from './totals.js';

const SCHEDULES = 100;

const { path: root, remove } = scratchDirectory();
after(remove);

test(`${SCHEDULES} schedules of partitions, crashes and wrong clocks lose nothing and converge`, async () => {
  const totals = new Totals();
  for (let seed = 1; seed <= SCHEDULES; seed++) {
    const outcome = await simulate({ seed }, root);
    totals.addAll(outcome.totals.entries());
    if (outcome.wrong.length === 0) continue;
    const shrunk = await shrink(outcome, root, { mostRuns: 200 });
    assert.fail(`make sim SEED=${seed}: ${shrunk.wrong.join('\n')}\n${formatHistory(shrunk)}`);
  }
  for (const what of ['power losses', 'writes past the site', 'stores past the site', 'removed inodes packed'])
    assert.ok(totals.of(what) > 0, what);
});

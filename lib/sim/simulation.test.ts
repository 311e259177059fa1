import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { formatHistory, parseHistory } from './history.js';
import { scratchDirectory } from './scratch-directory.js';
import { shrink } from './shrink.js';
import { simulate } from './simulation.js';

const { path: root, remove } = scratchDirectory();
after(remove);

test('one seed gives one run, and its steps give it again', async () => {
  const plan = { seed: 11, sites: 3, steps: 60 };
  const first = await simulate(plan, root);
  const second = await simulate(plan, root);
  assert.deepEqual(second.lines, first.lines);
  assert.equal(second.trace, first.trace);
  const again = await simulate(parseHistory(formatHistory(first)), root);
  assert.equal(again.trace, first.trace);
  assert.notEqual((await simulate({ ...plan, seed: 12 }, root)).trace, first.trace);
});

test('a failing history is made short', async () => {
  const { steps } = await simulate({ seed: 11, sites: 2, steps: 20 }, root);
  const wrong = { site: 'oslo', verb: 'conjure', words: [] };
  const history = [...steps.slice(0, 10), wrong, ...steps.slice(10)];
  const failing = await simulate({ seed: 11, sites: 2, history }, root);
  assert.match(failing.wrong[0]!, /conjure is no call/);
  assert.deepEqual((await shrink(failing, root)).steps, [wrong]);
});

test('a database that SQLite closed when a start failed counts as not synced', async () => {
  const history = [
    'seed 3001973 sites 5 passthrough oslo,rome',
    'kyiv: fail sync 4', // that of the directory, in the start
    'kyiv: write f "<kyiv:3>" 20',
    'wait 188',
    'kyiv: kill',
    'kyiv: restart',
    'kyiv: restart',
    'kyiv: power',
    'converge',
  ];
  const { wrong, totals } = await simulate(parseHistory(history.join('\n')), root);
  assert.deepEqual(wrong, []);
  assert.equal(totals.of('daemons ended by their disk'), 1);
});

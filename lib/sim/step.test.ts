import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseHistory } from './history.js';
import { formatStep, parseStep } from './step.js';

test('a step is read back as it was written, whatever its words are', () => {
  const word = fc.string({ minLength: 1 });
  const step = fc.record(
    {
      site: fc.constantFrom('', 'oslo'),
      verb: fc.constantFrom('write', 'mv'),
      words: fc.array(word),
    },
    { noNullPrototype: true },
  );
  fc.assert(
    fc.property(step, (each) => {
      assert.deepEqual(parseStep(formatStep(each)), each);
    }),
  );
});

test('a history says what seed and how many sites it is of', () => {
  assert.deepEqual(parseHistory('seed 7 sites 3\noslo: mkdir a   # EEXIST\n\nheal\n'), {
    seed: 7,
    sites: 3,
    passthrough: [],
    history: [
      { site: 'oslo', verb: 'mkdir', words: ['a'] },
      { site: '', verb: 'heal', words: [] },
    ],
  });
  assert.deepEqual(parseHistory('seed 7 sites 3 passthrough oslo,rome\n').passthrough, ['oslo', 'rome']);
  assert.throws(() => parseHistory('oslo: mkdir a'), /begins with "seed N sites N"/);
});

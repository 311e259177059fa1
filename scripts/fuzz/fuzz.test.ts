// fuzz.test.ts — a short slice of `make fuzz` over every decoder, from a fixed seed, and the inputs that are worth trying every time.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { readCorpus } from './corpus.js';
import { Fuzzer } from './fuzzer.js';
import { type Target, TARGETS } from './targets.js';

const INPUTS = 3000;
const SEED = Number(process.env['WEFT_SEED'] ?? 1);

describe('whatever bytes come', () => {
  for (const target of TARGETS) {
    test(`${target.name}: ${target.what}`, () => {
      const corpus = readCorpus(target.name);
      const fuzzer = new Fuzzer(target, SEED, corpus);
      for (const input of corpus) assert.equal(fuzzer.try(input), undefined);
      for (let i = 0; i < INPUTS; i++) {
        const finding = fuzzer.step();
        assert.equal(finding, undefined, `seed ${SEED}: ${finding?.input.toString('hex')}: ${finding?.error}`);
      }
    });
  }
});

test('a decoder that takes a length at its word is found out', () => {
  const trusting: Target = {
    name: 'trusting',
    what: 'a length and so many bytes',
    generate: () => Buffer.from([3, 1, 2, 3]),
    run: (input) => {
      const length = input[0] ?? 0;
      for (let i = 1; i <= length; i++) if (input[i] === undefined) throw new TypeError(`no byte ${i}`);
      return `${length > 0}`;
    },
  };
  const fuzzer = new Fuzzer(trusting, SEED, []);
  let finding;
  for (let i = 0; i < 1000 && !finding; i++) finding = fuzzer.step();
  assert.match(finding?.error ?? '', /no byte/);
});

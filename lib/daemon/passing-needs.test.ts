import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PassingNeeds } from './passing-needs.js';

function bench() {
  let nowMs = 0;
  const needs = new PassingNeeds({ now: () => nowMs });
  return { needs, advance: (ms: number) => (nowMs += ms), current: () => [...needs.current()] };
}

test('what a reader will want is sought for a while, and no longer once it came', () => {
  const { needs, advance, current } = bench();
  needs.ahead(['a', 'b', 'c']);
  needs.arrived(['b']);
  assert.deepEqual(current(), ['a', 'c']);
  advance(29_000);
  needs.ahead(['a']);
  advance(2_000);
  assert.deepEqual(current(), ['a']);
});

test('two sites that both lack an object ask each other for it, for ever', () => {
  const { needs, advance, current } = bench();
  assert.equal(needs.asked('a'), true);
  assert.equal(needs.asked('a'), false, 'sought already');
  needs.absentEverywhere(['a', 'other']);
  assert.equal(needs.asked('a'), false, 'sought in vain just now');
  advance(41_000);
  assert.equal(needs.asked('a'), true);
  advance(31_000);
  assert.deepEqual(current(), []);
  assert.equal(needs.asked('a'), false, 'nobody answered');
  needs.ahead(['a']);
  assert.deepEqual(current(), ['a'], 'for a reader here it is sought all the same');
});

test('a peer that asks for everything makes a site seek without bounds', () => {
  const { needs, current } = bench();
  for (let i = 0; i < 20_000; i++) needs.asked(`${i}`);
  assert.equal(current().length, 16_384);
  assert.equal(current()[0], `${20_000 - 16_384}`);
});

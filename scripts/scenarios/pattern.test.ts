// pattern.test.ts — which paths a pattern fits.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fits, isExact } from './pattern.js';

function matches(text: string, path: string): boolean {
  return fits({ text, quoted: false }, path);
}

test('a star stays within a name, two stars do not', () => {
  assert.ok(matches('x/*', 'x/a'));
  assert.ok(!matches('x/*', 'x/a/b'));
  assert.ok(matches('**/b', 'x/a/b'));
  assert.ok(matches('plan.~paris-*', 'plan.~paris-3f2a'));
  assert.ok(!matches('plan.~paris-*', 'plan.~oslo-3f2a'));
});

test('classes and single characters', () => {
  assert.ok(matches('[ab]?', 'ax'));
  assert.ok(!matches('[!ab]?', 'ax'));
  assert.ok(!matches('a?', 'a/'));
  assert.ok(matches('a.c', 'a.c'));
  assert.ok(!matches('a.c', 'abc'));
  assert.ok(matches('f(1)+$', 'f(1)+$'));
  assert.ok(matches('two*', 'two\nlines'));
});

test('in quotes a pattern fits only itself', () => {
  assert.ok(fits({ text: '*', quoted: true }, '*'));
  assert.ok(!fits({ text: '*', quoted: true }, 'a'));
  assert.ok(isExact({ text: '*', quoted: true }));
  assert.ok(!isExact({ text: 'a*', quoted: false }));
});

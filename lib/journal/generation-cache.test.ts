import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { GenerationCache } from './generation-cache.js';

test('a cache returns the last value set or nothing, and keeps what was used within half its capacity', () => {
  const access = fc.tuple(fc.constantFrom('get', 'set', 'delete'), fc.nat(30));
  fc.assert(
    fc.property(fc.array(access, { maxLength: 200 }), (accesses) => {
      const cache = new GenerationCache<number, { n: number }>(8);
      const model = new Map<number, { n: number }>();
      const recent: number[] = [];
      accesses.forEach(([verb, key], n) => {
        if (verb === 'set') {
          const value = { n };
          cache.set(key, value);
          model.set(key, value);
        } else if (verb === 'delete') {
          cache.delete(key);
          model.delete(key);
        }
        const found = cache.get(key);
        if (found !== undefined || recent.slice(-4).includes(key)) assert.equal(found, model.get(key));
        if (verb !== 'delete') recent.push(key);
        else recent.splice(0, recent.length, ...recent.filter((other) => other !== key));
      });
    }),
  );
});

test('a cache never holds more than its capacity', () => {
  const cache = new GenerationCache<number, { key: number }>(100);
  for (let key = 0; key < 1_000; key++) cache.set(key, { key });
  const kept = Array.from({ length: 1_000 }, (_, key) => key).filter((key) => cache.get(key) !== undefined);
  assert.ok(kept.length <= 100 && kept.length >= 50, `${kept.length} kept`);
  assert.equal(kept.at(-1), 999);
});

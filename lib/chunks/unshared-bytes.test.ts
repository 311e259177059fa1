import assert from 'node:assert/strict';
import { test } from 'node:test';
import Database from 'better-sqlite3';
import fc from 'fast-check';
import { UnsharedBytes } from './unshared-bytes.js';

test('what changes name is unshared until a site has everything up to there, across restarts', () => {
  const db = new Database(':memory:');
  const first = new UnsharedBytes(db);
  first.add(100);
  assert.equal(first.bytes, 100, 'counted before the commit that notes it');
  first.note(7);
  first.add(20);
  first.add(3);
  first.note(9);
  assert.equal(first.shared(6), false);
  assert.equal(first.bytes, 123);
  const second = new UnsharedBytes(db);
  assert.equal(second.bytes, 123);
  assert.equal(second.shared(8), true);
  assert.equal(second.bytes, 23);
  assert.equal(new UnsharedBytes(db).bytes, 23);
  assert.equal(second.shared(9), true);
  assert.deepEqual([second.bytes, new UnsharedBytes(db).bytes], [0, 0]);
  second.add(5);
  second.note(10);
  second.moved(20);
  assert.equal(second.shared(10), false);
  assert.deepEqual([second.bytes, new UnsharedBytes(db).bytes], [5, 5]);
});

test('however many commits there are, few rows are kept, and the sum is never too small', () => {
  const step = fc.record({ bytes: fc.nat(1000), advance: fc.nat(3), shared: fc.option(fc.nat(2000), { freq: 20 }) });
  fc.assert(
    fc.property(fc.array(step, { minLength: 300, maxLength: 900 }), (steps) => {
      const db = new Database(':memory:');
      const unshared = new UnsharedBytes(db);
      let left: { position: number; bytes: number }[] = [];
      let position = 1;
      for (const { bytes, advance, shared } of steps) {
        position += advance;
        unshared.add(bytes);
        unshared.note(position);
        left.push({ position, bytes });
        if (shared !== null) {
          unshared.shared(shared);
          left = left.filter((place) => place.position > shared);
        }
        assert.ok(unshared.bytes >= left.reduce((sum, place) => sum + place.bytes, 0));
      }
      assert.ok((db.prepare('SELECT count(*) FROM unshared').pluck().get() as number) <= 257);
      assert.equal(new UnsharedBytes(db).bytes, unshared.bytes);
      unshared.shared(position);
      assert.equal(unshared.bytes, 0);
    }),
    { numRuns: 20 },
  );
});

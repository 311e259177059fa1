import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { CorruptionError } from '../codec/bytes.js';
import { ActorTable, VOLUME_INO } from './ids.js';
import { Inode } from './inode.js';
import { validateOp } from './register-schema.js';
import { findSnapshot, snapshotsOf } from './snapshots.js';
import { formatRetention, formatSnapshot, parseRetention, parseSnapshot, snapshotNameError } from './volume-fields.js';

const actorId = fc.uint8Array({ minLength: 16, maxLength: 16 }).map((bytes) => Buffer.from(bytes).toString('hex'));
const vectors = fc.uniqueArray(fc.tuple(actorId, fc.integer({ min: 1, max: 2 ** 40 })), {
  minLength: 1,
  selector: ([actor]) => actor,
});

test('a snapshot is spelled in one way, whatever the order of its vector', () => {
  fc.assert(
    fc.property(vectors, (entries) => {
      const value = formatSnapshot(new Map(entries));
      assert.equal(formatSnapshot(new Map(entries.toReversed())), value);
      assert.deepEqual(new Map([...parseSnapshot(value)!].toSorted()), new Map(entries.toSorted()));
      validateOp('0.snap:before', value);
    }),
  );
});

test('limits are spelled in one way', () => {
  const limit = fc.option(fc.integer({ min: 0, max: 2 ** 50 }), { nil: undefined });
  fc.assert(
    fc.property(limit, limit, limit, (age, count, bytes) => {
      const retention = {
        ...(age === undefined ? {} : { age }),
        ...(count === undefined ? {} : { count }),
        ...(bytes === undefined ? {} : { bytes }),
      };
      assert.deepEqual(parseRetention(formatRetention(retention)), retention);
      validateOp('0.keep', formatRetention(retention));
    }),
  );
});

test('other spellings are refused', () => {
  const actor = 'a'.repeat(32);
  for (const value of ['', 'x', `${actor}:0`, `${actor}:01`, `${actor};1`, `${actor}:1,${actor}:2`, `${actor}:1,`]) {
    assert.throws(() => parseSnapshot(value), CorruptionError, value);
    assert.throws(() => validateOp('0.snap:a', value), CorruptionError, value);
  }
  for (const value of ['count=1 age=2', 'age=1 age=2', 'age=-1', 'age=1 ', 'days=1'])
    assert.throws(() => validateOp('0.keep', value), CorruptionError, value);
  for (const name of ['', '.a', '-a', 'a/b', 'a@b', 'a\n', '\ud800', 'a'.repeat(65)]) {
    assert.ok(snapshotNameError(name), JSON.stringify(name));
    assert.throws(() => validateOp(`0.snap:${name}`, `${actor}:1`), CorruptionError, name);
  }
  assert.equal(snapshotNameError('before the move, 2026 – ü'), undefined);
});

test('two snapshots of one name are told apart by their sites; one that was deleted is gone', () => {
  const actors = new ActorTable();
  const [paris, oslo] = ['1', '2'].map((digit) => actors.intern(digit.repeat(32)));
  const value = formatSnapshot(new Map([['1'.repeat(32), 7]]));
  const entry = (counter: number, actor: number, stamp: number, text: string) => [
    { counter, actor, stamp, value: text },
  ];
  const registers = new Map([
    [`actor:${'1'.repeat(32)}`, entry(1, paris!, 1, 'p'.repeat(32))],
    [`actor:${'2'.repeat(32)}`, entry(1, oslo!, 1, 'o'.repeat(32))],
    [`site:${'p'.repeat(32)}`, entry(2, paris!, 1, 'paris')],
    [`site:${'o'.repeat(32)}`, entry(2, oslo!, 1, 'oslo')],
    ['snap:before', [...entry(8, oslo!, 30, value), ...entry(9, paris!, 20, value), ...entry(7, oslo!, 10, value)]],
    ['snap:after', [...entry(11, oslo!, 50, '-'), ...entry(12, paris!, 40, value)]],
    ['snap:never', entry(13, oslo!, 60, '-')],
  ]);
  const zero = { s: 0, ns: 0 };
  const snapshots = snapshotsOf(new Inode(VOLUME_INO, registers, 0, zero, zero), actors);
  assert.deepEqual(
    snapshots.map(({ name, site, stamp }) => [name, site, stamp]),
    [
      ['after', 'paris', 40],
      ['before', 'oslo', 30],
      ['before.~paris', 'paris', 20],
      ['before.~oslo', 'oslo', 10],
    ],
  );
  assert.equal(findSnapshot(snapshots, 'before')!.stamp, 30);
  assert.equal(findSnapshot(snapshots, 'after.~paris')!.stamp, 40);
  assert.equal(findSnapshot(snapshots, 'never'), undefined);
});

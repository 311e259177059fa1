import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { CorruptionError } from '../codec/bytes.js';
import type { Value } from './change.js';
import {
  formatBirthPlace,
  formatBorn,
  formatHead,
  formatMovedPlace,
  formatTimestamp,
  formatTombstone,
} from './fields.js';
import { parseBorn, parseHead, parseLink, parseTimestamp } from './fields.js';
import { formatKey, nameError, parseKey, heldTime, validateOp } from './register-schema.js';

const ID = '0123456789abcdef'.repeat(2);
const MANIFEST = ID + ID;

const nat = fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER });
const name = fc
  .uint8Array({ minLength: 1, maxLength: 255 })
  .map((bytes) => Buffer.from(bytes).toString('latin1'))
  .filter((text) => nameError(text) === undefined);
const time = fc
  .tuple(fc.integer({ min: -(2 ** 43), max: 2 ** 43 }), fc.integer({ min: 0, max: 999_999_999 }))
  .map(([s, ns]) => ({ s, ns }));
const cites = fc.array(
  nat.map((counter) => `${counter}@${ID}`),
  { maxLength: 3 },
);

test('what is formatted is accepted, and parsed to what it was', () => {
  fc.assert(
    fc.property(nat, nat, name, name, time, cites, (ino, parent, here, there, at, ops) => {
      const born = { type: 'f', parent, name: here, btime: at, mode: 0o644, uid: 1000, gid: 7, rdev: 0 } as const;
      assert.deepEqual(parseBorn(formatBorn(born)), born);
      const moved = formatMovedPlace(parent, here, { parent: ino, name: there });
      const prev = { parent: ino, name: there };
      assert.deepEqual(parseLink(moved), { kind: 'place', parent, name: here, moved: true, prev });
      const linked = formatMovedPlace(parent, here);
      assert.deepEqual(parseLink(linked), { kind: 'place', parent, name: here, moved: true, prev: undefined });
      const birth = formatBirthPlace(parent, here);
      assert.deepEqual(parseLink(birth), { kind: 'place', parent, name: here, moved: false, prev: undefined });
      const tombstone = formatTombstone(parent, here, ops);
      assert.deepEqual(parseLink(tombstone), { kind: 'tombstone', parent, name: here, cites: ops });
      const head = { manifest: MANIFEST, size: parent, mtime: at, copyIno: Math.max(ino, 2) };
      assert.deepEqual(parseHead(formatHead(head)), head);
      const sparse = { ...head, size: 5000, blocks: 8 };
      assert.deepEqual(parseHead(formatHead(sparse)), sparse);
      validateOp(formatKey(Math.max(ino, 2), 'head'), formatHead(sparse));
      assert.deepEqual(parseHead(formatHead({ ...sparse, merged: [`1@${ID}`] })), { ...sparse, merged: [`1@${ID}`] });
      const merge = ops.length > 0 ? { ...head, merged: ops } : head;
      assert.deepEqual(parseHead(formatHead(merge)), merge);
      validateOp(formatKey(Math.max(ino, 2), 'head'), formatHead(merge));
      assert.deepEqual(parseTimestamp(formatTimestamp(at)), at);
      const key = Math.max(ino, 2);
      for (const value of [moved, linked, birth, tombstone]) validateOp(formatKey(key, 'link:7'), value);
      validateOp(formatKey(key, 'born'), formatBorn(born));
      validateOp(formatKey(key, 'head'), formatHead(head));
    }),
  );
});

test('every kind of register is accepted', () => {
  const good: [string, Value][] = [
    ['1.born', 'd 1/ 0.000000000 0 0 0 0'],
    ['5.born', 'f 1/ -5.000000001 420 0 4294967295 0'],
    ['5.mode', 0o644 * 65536 + 0o7777],
    ['5.uid', 0xffff_ffff],
    ['5.target', 'a b/\xff'],
    ['5.times', '-1.999999999'],
    ['5.into', '4'],
    ['5.x:user.a.b', '=\0\xff'],
    ['5.x:user.a', '-'],
    [`0.site:${ID}`, 'søsterby'],
    [`0.actor:${ID}`, ID],
    ['0.slot:16383', ID],
  ];
  for (const [key, value] of good)
    assert.deepEqual(formatKey(parseKey(key).ino, parseKey(key).field), key, String(value));
  for (const [key, value] of good) validateOp(key, value);
});

test('a malformed key or value is refused, with its name', () => {
  const bad: [string, Value][] = [
    [`0.site:${ID}`, 'a name that\u001b[2J clears the terminal'],
    ['born', 'd 1/a 0.000000000 0 0 0 0'],
    ['x.born', 'd 1/a 0.000000000 0 0 0 0'],
    ['01.born', 'd 1/a 0.000000000 0 0 0 0'],
    ['9007199254740993.mode', 0],
    ['5.', ''],
    ['5.colour', 'red'],
    ['5.born', 7],
    ['5.born', 'q 1/a 0.000000000 0 0 0 0'],
    ['5.born', 'd 1/a 0.00'],
    ['5.born', 'd 0/a 0.000000000 0 0 0 0'],
    ['5.born', `d 1/${'a'.repeat(256)} 0.000000000 0 0 0 0`],
    ['5.born', 'd 1/a/b 0.000000000 0 0 0 0'],
    ['1.born', 'f 1/ 0.000000000 0 0 0 0'],
    ['1.link:0', '1/a'],
    ['1.into', '5'],
    ['5.link:0', ''],
    ['5.link:0', '1/'],
    ['5.link:0', '1/.'],
    ['5.link:0', '1/..'],
    ['5.link:0', '1/ā'],
    ['5.link:0', '-1/a'],
    ['5.link:0', '-1/a\0x'],
    ['5.link:0', `-1/a\0${`1@${ID},`.repeat(2)}`],
    ['5.link:0', `-1/a\0${`1@${ID},`.repeat(5000).slice(0, -1)}`],
    ['5.link:0', '1/a\x001/b\x001/c'],
    ['5.link:-1', '1/a'],
    ['5.link:x', '1/a'],
    ['5.mode', 0o10000],
    ['5.mode', -1],
    ['5.mode', 1.5],
    ['5.mode', '420'],
    ['5.uid', 2 ** 32],
    ['5.target', ''],
    ['5.target', 'a'.repeat(4096)],
    ['5.target', 'a\0b'],
    ['5.times', '1.5'],
    ['5.times', '-0.000000000'],
    ['5.times', '-.000000000'],
    ['5.times', '.123456789'],
    ['5.times', '01.123456789'],
    ['5.times', '1.12345678x'],
    ['5.times', '1,123456789'],
    ['5.times', '1 .123456789'],
    ['5.born', 'd 1/a 0.000000000 0 0 0'],
    ['5.born', 'd 1/a 0.000000000 0 0 0 '],
    ['5.born', 'd 1/a 0.000000000 0 00 0 0'],
    ['5.born', 'd'],
    ['5.times', '99999999999999.000000000'],
    ['5.into', 4],
    ['5.into', '0'],
    ['5.head', `${MANIFEST} 5 0.000000000`],
    ['5.head', `${MANIFEST.toUpperCase()} 5 0.000000000 9`],
    ['5.head', `${MANIFEST} -5 0.000000000 9`],
    ['5.head', `${MANIFEST} 5 0.000000000 1`],
    ['5.head', `${MANIFEST} 5000 0.000000000 9 16`],
    ['5.head', `${MANIFEST} 5000 0.000000000 9 08`],
    ['5.head', `${MANIFEST} 5000 0.000000000 9 1@${ID} 8`],
    ['5.head', `${MANIFEST} 5000 0.000000000 9 8 8`],
    ['5.x:', '='],
    [`5.x:${'a'.repeat(256)}`, '='],
    ['5.x:a', 'value'],
    ['5.x:a', `=${'a'.repeat(65537)}`],
    ['5.x:a', '=ā'],
    ['0.site:x', 'name'],
    [`0.site:${ID}`, ''],
    [`0.site:${ID}`, '\ud800'],
    [`0.site:${ID}`, 7],
    [`0.actor:${ID}`, 'x'],
    ['0.slot:0', ID],
    ['0.slot:16384', ID],
    ['0.born', 'd 1/ 0.000000000 0 0 0 0'],
  ];
  for (const [key, value] of bad) assert.throws(() => validateOp(key, value), CorruptionError, `${key} = ${value}`);
});

test('no string makes validation fail in another way', () => {
  const field = fc.constantFrom('born', 'link:0', 'link:5', 'mode', 'target', 'times', 'head', 'into', 'x:a', 'q');
  fc.assert(
    fc.property(fc.nat(20), field, fc.oneof(fc.string(), fc.integer(), fc.double()), (ino, key, value) => {
      try {
        validateOp(`${ino}.${key}`, value);
      } catch (error) {
        assert.ok(error instanceof CorruptionError);
      }
    }),
  );
});

test('a time that no register holds becomes the nearest that one does', () => {
  for (const [s, ns, held] of [
    [0, 5, 0],
    [2 ** 43 - 1, 999_999_999, 2 ** 43 - 1],
    [2 ** 43, 1, 2 ** 43],
    [Number.MAX_SAFE_INTEGER, 7, 2 ** 43],
    [-(2 ** 43), 3, -(2 ** 43)],
    [-(2 ** 43) - 1, 3, -(2 ** 43)],
    [Number.MIN_SAFE_INTEGER, 7, -(2 ** 43)],
  ] as const) {
    const time = heldTime({ s, ns });
    assert.equal(time.s, held);
    validateOp(formatKey(5, 'times'), formatTimestamp(time));
  }
});

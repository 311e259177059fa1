import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ByteReader, ByteWriter, CorruptionError } from './bytes.js';

const writer = new ByteWriter(1);

test('a signed LEB128 is the shortest two’s complement of any safe integer, and read back', () => {
  const cases: [number, number[]][] = [
    [0, [0]],
    [63, [0x3f]],
    [64, [0xc0, 0]],
    [-64, [0x40]],
    [-65, [0xbf, 0x7f]],
    [2, [2]],
    [-129, [0xff, 0x7e]],
    [Number.MAX_SAFE_INTEGER, [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f]],
    [Number.MIN_SAFE_INTEGER, [0x81, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x70]],
  ];
  for (const [value, bytes] of cases) assert.deepEqual([...writer.reset().sleb128(value).view()], bytes, String(value));
  fc.assert(
    fc.property(fc.maxSafeInteger(), (value) => {
      const input = new ByteReader(writer.reset().sleb128(value).view());
      assert.equal(input.sleb128(), value);
      input.finish('sleb128');
    }),
  );
  for (const value of [0.5, 2 ** 53, -(2 ** 53), Infinity, NaN]) assert.throws(() => writer.sleb128(value), RangeError);
  const tooLarge = [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x10];
  for (const bytes of [[], [0x80], tooLarge, Array.from({ length: 9 }, () => 0xff)]) {
    assert.throws(() => new ByteReader(Uint8Array.from(bytes)).sleb128(), CorruptionError);
  }
});

test('decimal digits are those of String', () => {
  const value = fc.oneof(
    fc.maxSafeNat(),
    fc.nat(100),
    fc.tuple(fc.nat(15), fc.integer({ min: -1, max: 1 })).map(([n, off]) => 10 ** n + off),
  );
  fc.assert(fc.property(value, (n) => assert.equal(writer.reset().decimal(n).view().toString(), String(n))));
  for (const value of [-1, 0.5, 2 ** 53, NaN]) assert.throws(() => writer.decimal(value), RangeError);
});

test('text is its UTF-8, short or long, behind whatever was written before', () => {
  const text = fc.oneof(
    fc.string({ maxLength: 70 }),
    fc.string({ unit: 'binary', maxLength: 70 }),
    fc.string({ unit: 'binary-ascii', maxLength: 500 }),
  );
  fc.assert(
    fc.property(fc.array(text), (texts) => {
      writer.reset();
      for (const part of texts) assert.equal(writer.text(part), Buffer.byteLength(part));
      assert.equal(writer.view().toString(), texts.join(''));
    }),
  );
  assert.equal(writer.reset().text('\ud800'), 3);
  assert.equal(writer.view().toString(), '\ufffd');
});

test('a writer takes over what another holds, and hex digits of the right number', () => {
  const other = new ByteWriter();
  for (const length of [0, 1, 32, 33, 1000]) {
    const digits = '5a'.repeat(length);
    assert.deepEqual(other.reset().hex(digits, length).copy(), Buffer.alloc(length, 0x5a));
    assert.deepEqual(writer.reset().u8(1).append(other).u8(2).copy(), Buffer.from(`01${digits}02`, 'hex'));
  }
  for (const digits of ['5', '5a5', '5a5a', 'zz', '']) assert.throws(() => other.hex(digits, 1), RangeError);
});

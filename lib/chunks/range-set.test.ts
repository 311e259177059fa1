import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ByteReader, ByteWriter, CorruptionError } from '../codec/bytes.js';
import { RangeSet } from './range-set.js';

const SPAN = 40;
const anyRanges = fc.array(fc.tuple(fc.integer({ min: 0, max: SPAN }), fc.integer({ min: 0, max: SPAN + 3 })), {
  maxLength: 30,
});

/** An end past SPAN stands for one without end. */
const endOf = (end: number) => (end > SPAN ? Infinity : end);

function build(ranges: readonly (readonly [number, number])[]): { set: RangeSet; model: boolean[] } {
  const set = new RangeSet();
  const model = Array.from({ length: SPAN + 3 }, () => false);
  for (const [start, end] of ranges) {
    const grows = model.slice(start, endOf(end) === Infinity ? undefined : Math.max(start, end)).includes(false);
    assert.equal(set.insert(start, endOf(end)), grows);
    for (let i = start; i < Math.min(endOf(end), model.length); i++) model[i] = true;
  }
  return { set, model };
}

test('a set of ranges is the set of their positions', () => {
  fc.assert(
    fc.property(anyRanges, (ranges) => {
      const { set, model } = build(ranges);
      for (let i = 0; i <= SPAN; i++) {
        assert.equal(set.has(i), model[i], `position ${i}`);
        const end = model.findIndex((each, at) => at > i && each !== model[i]);
        assert.equal(set.runEnd(i), end < 0 ? Infinity : end, `run at ${i}`);
      }
      const bounds = set.below(SPAN);
      const starts = model.slice(0, SPAN).filter((each, i) => each && !model[i - 1]);
      assert.equal(bounds.length, starts.length * 2);
      for (let i = 0; i < bounds.length; i += 2) {
        assert.ok(!model[bounds[i]! - 1] && model.slice(bounds[i]!, bounds[i + 1]!).every(Boolean));
      }
    }),
  );
});

test('ranges come back from their bytes', () => {
  fc.assert(
    fc.property(anyRanges, (ranges) => {
      const { set } = build(ranges);
      const writer = new ByteWriter();
      set.encode(writer);
      const reader = new ByteReader(writer.copy());
      assert.deepEqual(RangeSet.decode(reader), set);
      reader.finish('ranges');
      assert.throws(
        () => RangeSet.decode(new ByteReader(writer.copy().subarray(0, writer.length - 1))),
        CorruptionError,
      );
    }),
  );
});

test('bytes that are no ranges are refused', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
      const reader = new ByteReader(bytes);
      try {
        const writer = new ByteWriter();
        RangeSet.decode(reader).encode(writer);
        assert.equal(new RangeSet().insert(0, 1), true);
      } catch (error) {
        assert.ok(error instanceof CorruptionError, String(error));
      }
    }),
  );
});

test('sets are joined and copied', () => {
  fc.assert(
    fc.property(anyRanges, anyRanges, (left, right) => {
      const joined = new RangeSet(build(left).set);
      joined.insertAll(build(right).set);
      assert.deepEqual(joined, build([...left, ...right]).set);
    }),
  );
});

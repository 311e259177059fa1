import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { MergePolicy } from '../crdt/merge-policy.js';
import { BufferSource, Content } from './content.js';
import { differences } from './content-differences.js';
import { mergeContents } from './merge-content.js';

function content(text: string): Content {
  return Content.of(new BufferSource(Buffer.from(text, 'latin1')));
}

function text(merged: Content | undefined): string | undefined {
  return merged?.read(0, merged.size).toString('latin1');
}

function run<T>(steps: Generator<undefined, T>): T {
  for (;;) {
    const step = steps.next();
    if (step.done) return step.value;
  }
}

function merge(policy: MergePolicy, base: string, earlier: string, later: string): string | undefined {
  return text(run(mergeContents(policy, content(base), content(earlier), content(later))));
}

/** A sequence of bytes, cut into pieces here and there. */
const pieces = fc
  .tuple(fc.string({ unit: fc.constantFrom('a', 'b'), maxLength: 40 }), fc.array(fc.nat(40), { maxLength: 4 }))
  .map(([whole, cuts]) => {
    const bounds = [0, ...cuts.filter((cut) => cut < whole.length).toSorted((a, b) => a - b), whole.length];
    const source = new BufferSource(Buffer.from(`--${whole}`));
    const parts = bounds.slice(1).map((end, i) => ({ source, from: 2 + bounds[i]!, length: end - bounds[i]! }));
    return { whole, content: new Content(parts) };
  });

test('a content reads the same whatever it is pieced together from', () => {
  fc.assert(
    fc.property(pieces, pieces, fc.nat(80), fc.nat(80), (a, b, x, y) => {
      const joined = new Content([...a.content.pieces, ...b.content.pieces]);
      const whole = a.whole + b.whole;
      const [from, to] = [Math.min(x, y, whole.length), Math.min(Math.max(x, y), whole.length)];
      assert.equal(joined.size, whole.length);
      assert.equal(joined.read(from, to).toString(), whole.slice(from, to));
      assert.equal(text(new Content(joined.slice(from, to))), whole.slice(from, to));
    }),
  );
});

test('the differences of two contents are exactly the bytes that differ', () => {
  fc.assert(
    fc.property(pieces, pieces, (a, b) => {
      const to = Math.min(a.whole.length, b.whole.length);
      const differing = new Set<number>();
      for (const difference of differences(a.content, b.content, 0, to)) {
        for (let i = difference?.[0] ?? 0; i < (difference?.[1] ?? 0); i++) differing.add(i);
      }
      for (let i = 0; i < to; i++) assert.equal(differing.has(i), a.whole[i] !== b.whole[i], `byte ${i}`);
    }),
  );
});

test('whatever the policy, a side that changed nothing leaves the other as it is, and equal sides are themselves', () => {
  const any = fc.string({ unit: fc.constantFrom('x', 'y', '\n', '\0'), maxLength: 12 });
  const policy = fc.constantFrom<MergePolicy>('copy', 'append', 'ranges', 'text');
  fc.assert(
    fc.property(policy, any, any, (kind, base, side) => {
      assert.equal(merge(kind, base, base, side), side);
      assert.equal(merge(kind, base, side, base), side);
      assert.equal(merge(kind, base, side, side), side);
    }),
  );
});

// ── append ────────────────────────────────────────────────────────────────────────────────────────────────────────────────────

const bytes = fc.string({ unit: fc.constantFrom('a', 'b', '\n', '\0'), maxLength: 20 });

test('append: what both added to the base follows it, the earlier first, byte for byte', () => {
  fc.assert(
    fc.property(bytes, bytes, bytes, (base, first, second) => {
      fc.pre(first !== '' && second !== '' && first !== second);
      assert.equal(merge('append', base, base + first, base + second), base + first + second);
    }),
  );
});

test('append: a side that lacks something of the base is no append', () => {
  assert.equal(merge('append', 'one\ntwo\n', 'one\nTWO\n', 'one\ntwo\nthree\n'), undefined);
  assert.equal(merge('append', 'one\ntwo\n', 'one\n', 'one\ntwo\nthree\n'), undefined);
  assert.equal(merge('append', 'one\n', '', 'one\ntwo\n'), undefined);
});

test('append: lines that an earlier merge put in between stay there, and none is lost or doubled', () => {
  const line = fc.nat(99).map((n) => `line ${n}\n`);
  const lines = fc.array(line, { maxLength: 6 });
  fc.assert(
    fc.property(lines, fc.array(fc.tuple(fc.nat(6), line)), fc.array(fc.tuple(fc.nat(6), line)), (base, inA, inB) => {
      const insert = (added: [number, string][]): string[] => {
        const result = [...base];
        for (const [at, what] of added) result.splice(Math.min(at, result.length), 0, what);
        return result;
      };
      const [a, b] = [insert(inA), insert(inB)];
      fc.pre(a.join('') !== b.join('') && inA.length > 0 && inB.length > 0);
      const merged = merge('append', base.join(''), a.join(''), b.join(''))!;
      const expected = [...base, ...inA.map(([, what]) => what), ...inB.map(([, what]) => what)];
      assert.deepEqual(merged.match(/[^\n]*\n/g)!.toSorted(), expected.toSorted());
    }),
  );
});

test('append: lines that merges at two places put in different orders are there once, and so is what came after', () => {
  assert.equal(merge('append', '0\n1\n2\n', '0\n2\n1\nA\n', '0\n1\n2\nB\n'), '0\n2\n1\nA\nB\n');
  assert.equal(merge('append', '1\n1\n', '1\n2\n', '1\n1\n3\n'), undefined, 'one is missing');
});

test('append: a line that the base held the beginning of is completed', () => {
  assert.equal(merge('append', 'a', 'b\na', 'a2\n'), 'b\na2\n');
});

// ── ranges ────────────────────────────────────────────────────────────────────────────────────────────────────────────────────

const RECORD = 16;

test('ranges: records that one side changed are applied, in both orders; a record that both changed gives no result', () => {
  const record = fc.nat(5);
  fc.assert(
    fc.property(
      fc.array(record, { minLength: 6, maxLength: 6 }),
      fc.array(record),
      fc.array(record),
      (base, inA, inB) => {
        const spell = (values: readonly number[]): string => values.map((n) => `${n}`.repeat(RECORD)).join('');
        const change = (records: readonly number[], by: number): number[] =>
          base.map((value, i) => (records.includes(i) ? value + by : value));
        const [a, b] = [change(inA, 6), change(inB, 12)].map((values) => values.map((n) => n % 10));
        fc.pre(new Set([spell(base), spell(a!), spell(b!)]).size === 3);
        const touches = (side: readonly number[], i: number): boolean => side[i] !== base[i];
        const overlap = base.some((_, i) => touches(a!, i) && touches(b!, i));
        const expected = overlap
          ? undefined
          : spell(base.map((value, i) => (touches(a!, i) ? a![i]! : touches(b!, i) ? b![i]! : value)));
        assert.equal(merge('ranges', spell(base), spell(a!), spell(b!)), expected);
        assert.equal(merge('ranges', spell(base), spell(b!), spell(a!)), expected);
      },
    ),
  );
});

test('ranges: one side may change the size, not both', () => {
  const base = 'A'.repeat(32);
  const written = 'x'.repeat(16) + 'A'.repeat(16);
  assert.equal(merge('ranges', base, written, `${base}more`), `${written}more`);
  assert.equal(merge('ranges', base, written, base.slice(0, 20)), written.slice(0, 20));
  assert.equal(merge('ranges', base, `${base}one`, `${base}two`), undefined);
  assert.equal(
    merge('ranges', base, 'A'.repeat(16) + 'x'.repeat(16), base.slice(0, 20)),
    undefined,
    'written and cut off',
  );
});

test('ranges: two halves of one small record never make a third record', () => {
  assert.equal(merge('ranges', '0000', '1001', '0110'), undefined);
});

// ── text ──────────────────────────────────────────────────────────────────────────────────────────────────────────────────────

test('text: changes of different paragraphs are all applied, in both orders', () => {
  const change = fc.constantFrom('keep', 'change', 'remove', 'insert');
  fc.assert(
    fc.property(fc.array(fc.tuple(change, fc.constantFrom('a', 'b')), { maxLength: 8 }), (changes) => {
      // Between two paragraphs lies one that nobody changes.
      const spell = (sides: string): string =>
        changes
          .map(([what, side], i) => {
            const mine = sides.includes(side) ? what : 'keep';
            const line = mine === 'remove' ? '' : mine === 'change' ? `changed ${i}\n` : `line ${i}\n`;
            return `${line}${mine === 'insert' ? `inserted after ${i}\n` : ''}between ${i}\n`;
          })
          .join('');
      const [base, a, b] = [spell(''), spell('a'), spell('b')];
      assert.equal(merge('text', base, a, b), spell('ab'));
      assert.equal(merge('text', base, b, a), spell('ab'));
    }),
  );
});

/**
 * How many of `line` a longest common subsequence of two texts leaves out of `side` at most: what the side may have inserted. A line
 * that was moved was removed at one place and inserted at another.
 */
function insertedAtMost(base: readonly string[], side: readonly string[], line: string): number {
  // Of the longest those that keep fewest of `line`: [length, -kept], greatest first.
  const best = Array.from({ length: base.length + 1 }, () => Array.from({ length: side.length + 1 }, () => [0, 0]));
  const greater = (x: number[], y: number[]): number[] => ((x[0]! - y[0]! || x[1]! - y[1]!) >= 0 ? x : y);
  for (let i = base.length - 1; i >= 0; i--) {
    for (let j = side.length - 1; j >= 0; j--) {
      best[i]![j] = greater(best[i + 1]![j]!, best[i]![j + 1]!);
      if (base[i] !== side[j]) continue;
      const [length, kept] = best[i + 1]![j + 1]!;
      best[i]![j] = greater(best[i]![j]!, [length! + 1, kept! - (base[i] === line ? 1 : 0)]);
    }
  }
  return side.filter((other) => other === line).length + best[0]![0]![1]!;
}

test('text: whatever the sides are, a result holds each line as often as the sides decided, in both orders', () => {
  const lines = fc.array(fc.constantFrom('a\n', 'b\n', 'c\n', '\n', 'constructor\n'), { maxLength: 8 });
  const count = (of: readonly string[], line: string): number => of.filter((other) => other === line).length;
  fc.assert(
    fc.property(lines, lines, lines, (base, a, b) => {
      const merged = merge('text', base.join(''), a.join(''), b.join(''));
      assert.equal(merge('text', base.join(''), b.join(''), a.join('')), merged);
      if (merged === undefined || a.join('') === b.join('')) return;
      const result = merged.match(/[^\n]*\n/g) ?? [];
      const sides = new Set<string>([...a, ...b]);
      assert.deepEqual(
        result.filter((line) => !sides.has(line)),
        [],
      );
      for (const line of new Set([...base, ...a, ...b])) {
        const most = count(base, line) + insertedAtMost(base, a, line) + insertedAtMost(base, b, line);
        assert.ok(count(result, line) <= most, `${JSON.stringify(line)} in ${merged}`);
      }
    }),
    { numRuns: 500 },
  );
});

test('text: a line that both moved, to two places, is at both', () => {
  const moved = merge('text', '1\n2\n3\n4\n', '2\n1\n3\n4\n', '2\n3\n4\n1\n');
  assert.equal(moved, '2\n1\n3\n4\n1\n');
});

test('text: neighbouring lines that were changed differently, and two insertions at one place, give no result', () => {
  assert.equal(merge('text', '1\n2\n3\n', '1\nA\n3\n', '1\nB\n3\n'), undefined);
  assert.equal(merge('text', '1\n2\n3\n', 'A\n2\n3\n', '1\nB\n3\n'), undefined);
  assert.equal(merge('text', '1\n2\n', '1\nA\n2\n', '1\nB\n2\n'), undefined);
});

test('text: a file with NUL bytes is none', () => {
  assert.equal(merge('text', '1\n2\n\0\n4\n', 'A\n2\n\0\n4\n', '1\n2\n\0\nB\n'), undefined);
});

test('text: texts that would take long to compare are left alone, soon', () => {
  const blank = '\n'.repeat(40_000);
  const startedMs = performance.now();
  assert.equal(merge('text', `a\n${blank}z\n`, `b\n${blank}x\n${blank}z\n`, `a\n${blank}y\n${blank}c\n`), undefined);
  assert.ok(performance.now() - startedMs < 2_000);
});

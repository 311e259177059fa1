import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as Automerge from '@automerge/automerge';
import fc from 'fast-check';
import type { Value } from '../crdt/change.js';
import type { ActorId, Ino } from '../crdt/ids.js';
import { ChangeEncoder } from './change-encoder.js';
import type { ChangeBytes, ChangeHeader } from './change-encoder.js';
import { MAX_OP } from './change-format.js';

interface Pred {
  readonly counter: number;
  readonly actor: ActorId;
}

interface Op {
  readonly ino: Ino;
  readonly field: string;
  readonly value: Value;
  readonly pred: readonly Pred[];
}

const encoder = new ChangeEncoder();

function encode(header: ChangeHeader, ops: readonly Op[]): ChangeBytes {
  for (const { ino, field, value, pred } of ops) {
    encoder.set(ino, field, value);
    for (const { counter, actor } of pred) encoder.pred(counter, actor);
  }
  assert.equal(encoder.ops, ops.length);
  return encoder.finish(header);
}

/** Automerge's own encoding of the same change. */
function oracle({ stamp, deps, ...header }: ChangeHeader, ops: readonly Op[]): Uint8Array {
  return Automerge.encodeChange({
    ...header,
    time: stamp,
    message: null,
    deps: [...deps],
    ops: ops.map(({ ino, field, value, pred }) => ({
      action: 'set',
      obj: '_root',
      key: `${ino}.${field}`,
      value,
      pred: pred.map(({ counter, actor }) => `${counter}@${actor}`),
      ...(typeof value === 'number' ? { datatype: 'int' } : {}),
    })),
  } as Parameters<typeof Automerge.encodeChange>[0]);
}

function assertSame(header: ChangeHeader, ops: readonly Op[]): void {
  const { bytes, hash } = encode(header, ops);
  const expected = oracle(header, ops);
  if (Buffer.compare(bytes, expected) !== 0) {
    assert.equal(Buffer.from(bytes).toString('hex'), Buffer.from(expected).toString('hex'));
  }
  assert.equal(hash, Automerge.decodeChange(expected).hash);
}

const hex = (chars: number): fc.Arbitrary<string> =>
  fc.string({ unit: fc.constantFrom(...'0123456789abcdef'), minLength: chars, maxLength: chars });
const latin1 = (maxLength: number): fc.Arbitrary<string> =>
  fc.string({ unit: fc.integer({ min: 0, max: 255 }).map((code) => String.fromCharCode(code)), maxLength });
/** Any well-formed string: `binary` is any code point, above the basic plane too, but no surrogate. */
const text = fc.oneof(
  fc.string({ maxLength: 80 }),
  latin1(80),
  fc.string({ unit: 'binary', maxLength: 80 }),
  fc.string({ unit: 'binary', minLength: 100, maxLength: 400 }),
);
/** Around each power of two, where encodings grow, and anything else. */
const integer = fc.oneof(
  fc
    .tuple(fc.integer({ min: 0, max: 53 }), fc.integer({ min: -2, max: 1 }), fc.boolean())
    .map(([bits, off, negative]) => Math.min(2 ** bits + off, Number.MAX_SAFE_INTEGER) * (negative ? -1 : 1)),
  fc.maxSafeInteger(),
  fc.integer({ min: -3, max: 3 }),
);
const natural = integer.map((value) => Math.abs(value));
const counter = fc.oneof(fc.integer({ min: 1, max: 10 }), fc.integer({ min: 1, max: MAX_OP }));

const changeArbitrary = fc.uniqueArray(hex(32), { minLength: 1, maxLength: 8 }).chain((actors) => {
  const op: fc.Arbitrary<Op> = fc.record({
    ino: fc.oneof(fc.integer({ min: 0, max: 2 }), natural),
    field: fc.oneof(fc.constantFrom('born', 'link:0', 'times'), text),
    value: fc.oneof(fc.constantFrom('', 'same', 7), text, integer),
    pred: fc.oneof(
      fc.constant([]),
      fc.array(fc.record({ counter, actor: fc.constantFrom(...actors) }), { maxLength: 12 }),
    ),
  });
  // Runs of equal rows, and rows of which only a part repeats.
  const rows = fc
    .tuple(op, fc.integer({ min: 1, max: 70 }), fc.constantFrom('all', 'key', 'value', 'pred'))
    .map(([first, times, same]): Op[] =>
      Array.from({ length: times }, (_, i) => {
        if (same === 'all') return first;
        const next = { ino: i, field: `${first.field}${i}`, value: i, pred: [{ counter: i + 1, actor: actors[0]! }] };
        if (same === 'key') return { ...next, ino: first.ino, field: first.field };
        return { ...next, [same]: first[same] };
      }),
    );
  return fc.record({
    header: fc.record({
      actor: fc.constantFrom(...actors),
      seq: natural.map((value) => Math.max(value, 1)),
      startOp: fc.integer({ min: 1, max: MAX_OP - 10_000 }),
      stamp: natural,
      deps: fc.uniqueArray(hex(64), { maxLength: 5 }).map((hashes) => hashes.toSorted()),
    }),
    ops: fc
      .array(fc.oneof({ weight: 3, arbitrary: op.map((one) => [one]) }, rows), { maxLength: 40 })
      .map((parts) => parts.flat()),
  });
});

const header: ChangeHeader = {
  actor: 'ab'.repeat(16),
  seq: 3,
  startOp: 10,
  stamp: 1_700_000_000_123_456,
  deps: ['12'.repeat(32)],
};

test('any change has the very bytes and the hash that Automerge gives it', () => {
  fc.assert(
    fc.property(changeArbitrary, ({ header, ops }) => assertSame(header, ops)),
    { numRuns: 400 },
  );
});

test('changes of thousands of operations, past every width of a run length, are those of Automerge', () => {
  for (const count of [0, 1, 2, 63, 64, 65, 66, 127, 128, 129, 8_191, 8_192, 8_193, 8_194]) {
    const creates = Array.from({ length: count }, (_, i): Op => {
      const ino = 3 * 2 ** 39 + i;
      if (i % 3 === 0) return { ino, field: 'born', value: `f 7/name-${i} 1700000000.${i} 420 0 0 0`, pred: [] };
      if (i % 3 === 1) return { ino, field: 'link:0', value: `7/name-${i}`, pred: [] };
      return { ino: 7, field: 'times', value: `1700000000.${i}`, pred: [{ counter: i + 1, actor: header.actor }] };
    });
    assertSame(header, creates);
    const [same] = creates;
    if (same)
      assertSame(
        header,
        Array.from({ length: count }, () => same),
      );
    const pairs = Array.from({ length: count }, (_, i): Op => ({
      ino: i >> 1,
      field: 'mode',
      value: i >> 1,
      pred: [],
    }));
    assertSame(header, pairs);
  }
});

test('predecessors stand in Automerge’s order whatever order they came in, and equal ones stay', () => {
  const actors = ['ff', '01', 'ab', 'cd'].map((byte) => byte.repeat(16));
  const pred = [9, 3, 3, 700, 1].flatMap((counter) => actors.map((actor) => ({ counter, actor })));
  const ops = [pred, pred.toReversed(), [...pred, ...pred], []].map((pred): Op => ({
    ino: 5,
    field: 'head',
    value: 'x',
    pred,
  }));
  for (const actor of actors) assertSame({ ...header, actor }, ops);
});

test('Automerge loads a history that we encoded and shows its registers', () => {
  const [alice, bob] = ['a1'.repeat(16), 'b2'.repeat(16)];
  const born = 'd 1/\u{1f333}\xff\0 1700000000.000000000';
  const first = encode({ actor: alice!, seq: 1, startOp: 1, stamp: 5, deps: [] }, [
    { ino: 1, field: 'born', value: born, pred: [] },
    { ino: 1, field: 'mode', value: 493 * 65537, pred: [] },
    { ino: 1, field: 'low', value: -(2 ** 40), pred: [] },
  ]);
  const second = encode({ actor: bob!, seq: 1, startOp: 4, stamp: 6, deps: [first.hash] }, [
    { ino: 1, field: 'mode', value: 448 * 65537, pred: [{ counter: 2, actor: alice! }] },
  ]);
  const empty = Automerge.init<Record<string, unknown>>();
  const [document] = Automerge.applyChanges(empty, [first.bytes, second.bytes]);
  assert.deepEqual(Automerge.getHeads(document), [second.hash]);
  assert.equal(String(document['1.born']), born);
  assert.equal(document['1.mode'], 448 * 65537);
  assert.equal(document['1.low'], -(2 ** 40));
});

test('what cannot be encoded is an error, and nothing of it is in the next change', () => {
  const ops: Op[] = [{ ino: 1, field: 'mode', value: 5, pred: [{ counter: 4, actor: 'cd'.repeat(16) }] }];
  const expected = Buffer.from(encode(header, ops).bytes);
  const refused: [ChangeHeader, Op, RegExp][] = [
    [header, { ino: 1, field: 'mode', value: 0.5, pred: [] }, /0\.5/],
    [header, { ino: 1, field: 'mode', value: 2 ** 53, pred: [] }, /9007199254740992/],
    [header, { ino: 1, field: 'born', value: 'a\ud800', pred: [] }, /1\.born.*surrogate/],
    [header, { ino: 1, field: 'x:\udc00b', value: 'a', pred: [] }, /surrogate/],
    [header, { ino: -1, field: 'mode', value: 1, pred: [] }, /-1/],
    [header, { ino: 1, field: 'mode', value: 1, pred: [{ counter: 1, actor: 'ab' }] }, /ab: not 16 bytes/],
    [header, { ino: 1, field: 'mode', value: 1, pred: [{ counter: 1, actor: 'zz'.repeat(16) }] }, /not 16 bytes/],
    [header, { ino: 1, field: 'mode', value: 1, pred: [{ counter: 0.5, actor: header.actor }] }, /0\.5/],
    [{ ...header, deps: ['34', '12'].map((byte) => byte.repeat(32)) }, ops[0]!, /out of order/],
    [{ ...header, deps: ['12'] }, ops[0]!, /12: not 32 bytes/],
    [{ ...header, startOp: MAX_OP }, ops[0]!, /new epoch/],
  ];
  for (const [header, op, says] of refused) {
    assert.throws(() => encode(header, [...ops, op]), says);
    encoder.reset();
    assert.deepEqual(Buffer.from(encode(refused[0]![0], ops).bytes), expected);
  }
  assert.throws(() => encoder.pred(1, header.actor), /no operation/);
});

test('a change larger than the scratch that is kept does not spoil the ones after it', () => {
  const large: Op[] = [{ ino: 1, field: 'x:user.a', value: '\xff'.repeat(3_000_000), pred: [] }];
  assertSame(header, large);
  assertSame(header, [{ ino: 1, field: 'mode', value: 5, pred: [] }]);
});

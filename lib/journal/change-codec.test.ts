import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { deflateRawSync } from 'node:zlib';
import * as Automerge from '@automerge/automerge';
import fc from 'fast-check';
import { ByteWriter, CorruptionError } from '../codec/bytes.js';
import type { Change, ChangeOp } from '../crdt/change.js';
import { decodeChange, encodeChange } from './change-codec.js';
import { MAX_OP } from './change-format.js';

const LIMIT_BYTES = 1 << 20;
const hex = (chars: number): fc.Arbitrary<string> =>
  fc.string({ unit: fc.constantFrom(...'0123456789abcdef'), minLength: chars, maxLength: chars });
const latin1 = (maxLength: number): fc.Arbitrary<string> =>
  fc.string({ unit: fc.integer({ min: 0, max: 255 }).map((code) => String.fromCharCode(code)), maxLength });

const plain = { noNullPrototype: true } as const;
const opArbitrary: fc.Arbitrary<ChangeOp> = fc.record(
  {
    key: fc.tuple(fc.nat(), latin1(20)).map(([ino, field]) => `${ino}.${field}`),
    value: fc.oneof(latin1(300), fc.string({ unit: 'binary', maxLength: 300 }), fc.maxSafeInteger()),
    pred: fc
      .uniqueArray(fc.tuple(fc.integer({ min: 1, max: 1_000_000 }), hex(32)), {
        maxLength: 4,
        selector: ([counter]) => counter,
      })
      .map((ids) => ids.toSorted(([a], [b]) => a - b).map(([counter, actor]) => `${counter}@${actor}`)),
  },
  plain,
);
const draftArbitrary = fc.record(
  {
    actor: hex(32),
    seq: fc.integer({ min: 1, max: 2 ** 40 }),
    startOp: fc.integer({ min: 1, max: MAX_OP - 2_000 }),
    stamp: fc.maxSafeNat(),
    deps: fc.uniqueArray(hex(64), { maxLength: 4 }).map((hashes) => hashes.toSorted()),
    ops: fc
      .array(fc.tuple(opArbitrary, fc.constantFrom(1, 1, 2, 70)), { minLength: 1, maxLength: 15 })
      .map((runs) => runs.flatMap(([op, times]) => Array.from({ length: times }, () => op))),
  },
  plain,
);

const exampleOps: ChangeOp[] = [
  { key: '1.born', value: 'd 1/ 1700000000.000000000 493 0 0 0', pred: [] },
  { key: '1.mode', value: 493 * 65537, pred: [] },
  { key: '5.link:0', value: '1/caf\xe9\0\xff', pred: [`7@${'cd'.repeat(16)}`, `9@${'ab'.repeat(16)}`] },
];
const example = encodeChange({
  actor: 'ab'.repeat(16),
  seq: 3,
  startOp: 10,
  stamp: 1_700_000_000_123_456,
  deps: ['12'.repeat(32)],
  ops: exampleOps,
});

/** Puts the checksum right, so that what is tested is not the checksum. */
function withChecksum(bytes: Uint8Array): Uint8Array {
  const fixed = Uint8Array.from(bytes);
  fixed.set(createHash('sha256').update(fixed.subarray(8)).digest().subarray(0, 4), 4);
  return fixed;
}

function assertRejectsOrDecodes(bytes: Uint8Array): void {
  try {
    decodeChange(bytes, LIMIT_BYTES);
  } catch (error) {
    assert.ok(error instanceof CorruptionError, String(error));
  }
  // The library is still alive and right.
  assert.equal(decodeChange(example.bytes, LIMIT_BYTES).hash, example.change.hash);
}

/** A change chunk whose columns are given as (specification, bytes). */
function chunkOf(columns: readonly (readonly [number, Uint8Array])[], actor = Buffer.alloc(16, 0xab)): Uint8Array {
  const body = new ByteWriter().varint(0).bytes(actor).varint(1).varint(1).u8(0).varint(0).varint(0);
  body.varint(columns.length);
  for (const [spec, bytes] of columns) body.varint(spec).varint(bytes.length);
  for (const [, bytes] of columns) body.raw(bytes);
  return withChecksum(new ByteWriter().u32(0x834a6f85).u32(0).u8(1).bytes(body.view()).copy());
}

test('a change survives encoding, and its hash is that of its bytes', () => {
  fc.assert(
    fc.property(draftArbitrary, (draft) => {
      const { bytes, change } = encodeChange(draft);
      assert.deepEqual(decodeChange(bytes, LIMIT_BYTES), { ...draft, hash: change.hash });
      assert.equal(Automerge.decodeChange(bytes).hash, change.hash);
      assert.equal(createHash('sha256').update(bytes.subarray(8)).digest('hex'), change.hash);
    }),
    { numRuns: 200 },
  );
});

test('operation numbers end where Automerge’s do, with an error that says so', () => {
  const draft = { ...example.change, startOp: MAX_OP - exampleOps.length + 1 };
  const { bytes } = encodeChange(draft);
  assert.equal(decodeChange(bytes, LIMIT_BYTES).startOp, draft.startOp);
  assert.throws(() => encodeChange({ ...draft, startOp: draft.startOp + 1 }), /new epoch/);
});

test('Automerge loads what we encode and shows the same registers', () => {
  const { bytes } = encodeChange({ ...example.change, seq: 1, startOp: 1, deps: [], ops: exampleOps.slice(0, 2) });
  const [document] = Automerge.applyChanges(Automerge.init<Record<string, unknown>>(), [bytes]);
  assert.equal(String(document['1.born']), exampleOps[0]!.value);
  assert.equal(document['1.mode'], exampleOps[1]!.value);
});

test('changed bytes are a CorruptionError, whatever was changed', () => {
  const { bytes } = example;
  for (let at = 0; at < bytes.length; at++) {
    const flipped = Uint8Array.from(bytes);
    flipped[at]! ^= 1 << (at % 8);
    assert.throws(() => decodeChange(flipped, LIMIT_BYTES), CorruptionError, `byte ${at}`);
    assert.throws(() => decodeChange(bytes.subarray(0, at), LIMIT_BYTES), CorruptionError, `cut at ${at}`);
  }
});

test('bytes with a right checksum but any content never harm more than themselves', () => {
  const edits = fc.array(fc.tuple(fc.integer({ min: 8, max: example.bytes.length - 1 }), fc.nat(255)), {
    minLength: 1,
    maxLength: 6,
  });
  fc.assert(
    fc.property(edits, (changes) => {
      const mutated = Uint8Array.from(example.bytes);
      for (const [at, value] of changes) mutated[at] = value;
      assertRejectsOrDecodes(withChecksum(mutated));
    }),
    { numRuns: 3_000 },
  );
  fc.assert(
    fc.property(
      fc.array(
        fc.tuple(fc.constantFrom(0x15, 0x34, 0x42, 0x56, 0x57, 0x70, 0x71, 0x73), fc.uint8Array({ maxLength: 20 })),
      ),
      (columns) => assertRejectsOrDecodes(chunkOf(columns)),
    ),
    { numRuns: 2_000 },
  );
});

test('a run length that claims a billion operations is refused before anything expands it', () => {
  const claim = new ByteWriter().varint(2 ** 31).copy(); // as a signed LEB128 too: its top bit is clear
  const key = Buffer.concat([claim, Buffer.from([1, 0x61])]);
  const ones = Buffer.concat([claim, Buffer.from([1])]);
  const nulls = Buffer.concat([Buffer.from([0]), claim]);
  const bombs: (readonly [number, Uint8Array])[] = [
    [0x15, key],
    [0x34, claim],
    [0x42, ones],
    [0x42, nulls],
    [0x56, ones],
    [0x70, ones],
    [0x70, Buffer.concat([Buffer.from([1]), claim])],
    [0x73, ones],
  ];
  for (const bomb of bombs) assert.throws(() => decodeChange(chunkOf([bomb]), LIMIT_BYTES), CorruptionError);

  const bytes = (...values: number[]): Buffer => Buffer.from(values);
  const anyKeys = Buffer.concat([claim, bytes(3, 0x31, 0x2e, 0x61)]);
  const emptyStrings = Buffer.concat([claim, bytes(6)]);
  const zeros = Buffer.concat([claim, bytes(0)]);
  const operations = [
    [0x15, anyKeys],
    [0x34, claim],
    [0x42, ones],
    [0x56, emptyStrings],
    [0x70, zeros],
  ] as const;
  assert.throws(() => decodeChange(chunkOf(operations), LIMIT_BYTES), /2147483648 operations in/);
  const predecessors = [
    [0x15, anyKeys],
    [0x34, bytes(1)],
    [0x42, bytes(0x7f, 1)],
    [0x56, bytes(0x7f, 6)],
    [0x70, Buffer.concat([bytes(0x7f), claim])],
    [0x71, zeros],
    [0x73, ones],
  ] as const;
  assert.throws(() => decodeChange(chunkOf(predecessors), LIMIT_BYTES), /too many predecessors/);
});

test('a long key that repeats is refused when it expands beyond the limit', () => {
  const key = `1.${'k'.repeat(2_000)}`;
  const ops = Array.from({ length: 1_000 }, (_, i): ChangeOp => ({ key, value: `value ${i}`, pred: [] }));
  const { bytes } = encodeChange({ ...example.change, ops });
  assert.ok(bytes.length < 30_000);
  assert.throws(() => decodeChange(bytes, LIMIT_BYTES), /expands/);
  assert.equal(decodeChange(bytes, 4 * LIMIT_BYTES).ops.length, 1_000);
});

test('a change over the limit is refused, and so is a compressed one', () => {
  assert.throws(() => decodeChange(example.bytes, example.bytes.length - 1), /at most/);
  const ops = [{ key: '1.x:user.a', value: 'v'.repeat(100_000), pred: [] }];
  const { bytes, change } = encodeChange({ ...example.change, ops });
  assert.deepEqual(decodeChange(bytes, LIMIT_BYTES), change);
  const body = bytes.subarray(12); // past magic, checksum, type and a length of three bytes
  const compressed = new ByteWriter().raw(bytes.subarray(0, 8)).u8(2).bytes(deflateRawSync(body)).copy();
  assert.equal(Automerge.decodeChange(compressed).hash, change.hash);
  assert.throws(() => decodeChange(compressed, LIMIT_BYTES), /type 2/);
});

/** Whether Automerge reads a change of our schema from the bytes, and would write the same bytes for it. */
function isCanonicalToAutomerge(bytes: Uint8Array): boolean {
  try {
    const { actor, seq, startOp, time, message, deps, ops } = Automerge.decodeChange(bytes);
    const isOurs =
      actor.length === 32 &&
      seq >= 1 &&
      startOp >= 1 &&
      Number.isSafeInteger(time) &&
      time >= 0 &&
      message === null &&
      ops.every((op) => {
        const { action, obj, key, value, datatype, pred } = op as Record<string, unknown>;
        const isValue = typeof value === 'string' ? datatype === undefined : datatype === 'int';
        const isKey = /^(0|[1-9]\d{0,14})\./.test(String(key));
        const hasPreds = (pred as string[]).every((id) => !id.startsWith('0@') && id.split('@')[1]?.length === 32);
        return action === 'set' && obj === '_root' && isValue && isKey && hasPreds;
      });
    if (!isOurs) return false;
    const again = { actor, seq, startOp, time, message, deps, ops };
    return Buffer.compare(Automerge.encodeChange(again as Parameters<typeof Automerge.encodeChange>[0]), bytes) === 0;
  } catch {
    return false;
  }
}

test('of bytes that are nearly a change, those are taken that Automerge reads and would write the same', () => {
  // No byte above 127 comes in, so that no run becomes a bomb: Automerge would expand it, and not survive.
  const edit = fc.record({ at: fc.nat(1_000), bytes: fc.uint8Array({ max: 127, maxLength: 2 }), removed: fc.nat(2) });
  const small = draftArbitrary.map((draft) => ({ ...draft, ops: draft.ops.slice(0, 3), deps: draft.deps.slice(0, 1) }));
  let taken = 0;
  fc.assert(
    fc.property(fc.oneof(fc.constant(example.change), small), fc.array(edit, { maxLength: 2 }), (draft, edits) => {
      const { bytes } = encodeChange(draft);
      const lengthBytes = bytes[9]! < 128 ? 1 : bytes[10]! < 128 ? 2 : 3;
      let body = [...bytes.subarray(9 + lengthBytes)];
      for (const { at, bytes, removed } of edits) body = body.toSpliced(at % body.length, removed, ...bytes);
      const mutated = withChecksum(new ByteWriter().raw(bytes.subarray(0, 9)).bytes(Uint8Array.from(body)).copy());
      const expected = isCanonicalToAutomerge(mutated);
      let decoded: Change | undefined;
      try {
        decoded = decodeChange(mutated, LIMIT_BYTES);
      } catch (error) {
        assert.ok(error instanceof CorruptionError, String(error));
        assert.ok(!expected, `${Buffer.from(mutated).toString('hex')}: ${error.message}`);
        return;
      }
      assert.ok(expected, `${Buffer.from(mutated).toString('hex')}: Automerge does not take it`);
      taken++;
      const theirs = Automerge.decodeChange(mutated);
      assert.equal(decoded.hash, theirs.hash);
      assert.deepEqual(
        decoded.ops.map(({ key, value, pred }) => [key, value, pred]),
        theirs.ops.map((op) => [op.key, (op as { value?: unknown }).value, op.pred]),
      );
    }),
    { numRuns: 3_000 },
  );
  assert.ok(taken > 300, `${taken} were taken: too few to tell`);
});

test('an operation other than setting a string or an integer on the root is refused', () => {
  const foreign = [
    { action: 'del' as const, obj: '_root', key: 'a', pred: [`1@${example.change.actor}`] },
    { action: 'makeMap' as const, obj: '_root', key: 'a', pred: [] },
    { action: 'set' as const, obj: '_root', key: 'a', value: true, pred: [] },
    { action: 'set' as const, obj: '_root', key: 'a', value: null, pred: [] },
    { action: 'set' as const, obj: '_root', key: 'a', value: 5, datatype: 'uint' as const, pred: [] },
    { action: 'set' as const, obj: '_root', key: 'a', value: 5.5, datatype: 'float64' as const, pred: [] },
    { action: 'set' as const, obj: `1@${example.change.actor}`, key: 'a', value: 'x', pred: [] },
  ];
  for (const op of foreign) {
    const bytes = Automerge.encodeChange({
      actor: example.change.actor,
      seq: 1,
      startOp: 2,
      time: 0,
      message: null,
      deps: [],
      ops: [op],
    } as unknown as Parameters<typeof Automerge.encodeChange>[0]);
    assert.throws(() => decodeChange(bytes, LIMIT_BYTES), CorruptionError, op.action);
  }
  assert.throws(() => decodeChange(chunkOf([], Buffer.alloc(8, 1)), LIMIT_BYTES), /actor/);
});

// message.test.ts — messages and frames survive the wire, and nothing else gets through it.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ByteWriter, CorruptionError } from '../codec/bytes.js';
import { encodeFrames, FrameAssembler, MAX_FRAME_BYTES } from './frame.js';
import { decodeMessage, encodeMessage } from './message-codec.js';
import { goodbye, MAX_MESSAGE_BYTES, PROTOCOL_VERSION } from './message.js';
import type { Message } from './message.js';

const hex = (bytes: number) =>
  fc.uint8Array({ minLength: bytes, maxLength: bytes }).map((raw) => Buffer.from(raw).toString('hex'));
const text = (max: number) =>
  fc
    .string({ unit: 'grapheme', maxLength: max })
    .map((s) => s.replace(/\p{Cc}/gu, '_'))
    .filter((s) => Buffer.byteLength(s) <= max);
const payload = fc.uint8Array({ maxLength: 40 });
const seq = fc.integer({ min: 1, max: 2 ** 50 });
const count = fc.nat(2 ** 40);
const vector = fc
  .array(fc.tuple(hex(16), seq), { maxLength: 5 })
  .map((entries) => new Map(entries.toSorted(([a], [b]) => (a < b ? -1 : 1))));
const ids = fc.array(hex(32), { maxLength: 5 });
const address = fc.oneof(
  fc.constant(''),
  fc.tuple(fc.ipV4(), fc.integer({ min: 1, max: 65_535 })).map(([host, port]) => `${host}:${port}`),
  fc.tuple(fc.ipV6(), fc.integer({ min: 1, max: 65_535 })).map(([host, port]) => `[${host}]:${port}`),
);
const introductions = fc.array(fc.record({ siteId: hex(16), site: text(40), address }), { maxLength: 3 });

const message: fc.Arbitrary<Message> = fc.oneof(
  fc.record({
    type: fc.constant('hello' as const),
    version: fc.constant(PROTOCOL_VERSION),
    volumeId: text(40),
    siteId: hex(16),
    instance: hex(8),
    site: text(60),
    slot: fc.integer({ min: 0, max: 2 ** 14 - 1 }),
    address,
    vector,
    missingCount: count,
    keepsAll: fc.boolean(),
    introductions,
  }),
  fc.record({ code: fc.constantFrom('slot' as const, 'paused' as const), reason: text(200) }).map((m) => ({
    type: 'goodbye' as const,
    ...m,
  })),
  fc.record({
    type: fc.constant('changes' as const),
    changes: fc.array(
      fc.record({
        actor: hex(16),
        seq,
        bytes: payload,
        deps: fc.array(fc.record({ actor: hex(16), seq }), { maxLength: 3 }),
      }),
      { maxLength: 5 },
    ),
  }),
  fc.record({ type: fc.constant('have' as const), vector, missingCount: count, arrived: ids }),
  fc.record({ type: fc.constantFrom('want' as const, 'absent' as const, 'ask-kept' as const, 'kept' as const), ids }),
  fc.record({
    type: fc.constant('objects' as const),
    objects: fc.array(fc.record({ id: hex(32), kind: fc.integer({ min: 0, max: 255 }), bytes: payload }), {
      maxLength: 5,
    }),
  }),
  fc.record({
    type: fc.constant('base-offer' as const),
    offer: fc.record({
      id: hex(32),
      actors: fc
        .uniqueArray(fc.record({ actor: hex(16), seq, op: count, hash: hex(32) }), {
          maxLength: 4,
          selector: ({ actor }) => actor,
        })
        .map((actors) => actors.toSorted((a, b) => (a.actor < b.actor ? -1 : 1))),
      heads: fc.uniqueArray(hex(32), { maxLength: 3 }).map((heads) => heads.toSorted()),
      stamp: count,
      inodes: count,
    }),
  }),
  fc.record({ type: fc.constant('base-want' as const), id: hex(32), after: fc.integer({ min: -1, max: 2 ** 50 }) }),
  fc.record({
    type: fc.constant('base-part' as const),
    part: fc.record({
      id: hex(32),
      after: fc.integer({ min: -1, max: 2 ** 50 }),
      last: fc.integer({ min: -1, max: 2 ** 50 }),
      done: fc.boolean(),
      bytes: payload,
    }),
  }),
  fc.record({
    type: fc.constant('holdings' as const),
    holdings: fc
      .uniqueArray(fc.record({ siteId: hex(16), vector, seenMs: count }), { maxLength: 4, selector: (h) => h.siteId })
      .map((holdings) => holdings.toSorted((a, b) => (a.siteId < b.siteId ? -1 : 1))),
  }),
  fc.record({ type: fc.constant('credit' as const), changeBytes: count, objectBytes: count }),
  fc.record({ type: fc.constantFrom('barrier' as const, 'barrier-done' as const) }),
  fc.record({
    type: fc.constant('join-request' as const),
    version: fc.constant(PROTOCOL_VERSION),
    inviteId: text(8),
    proof: fc.uint8Array({ minLength: 32, maxLength: 32 }),
    siteId: hex(16),
    site: text(60),
    volumeId: text(40),
  }),
  fc.record({
    type: fc.constant('join-grant' as const),
    volumeId: text(40),
    volumeName: text(40),
    peers: introductions,
  }),
);

function bytesOf(value: Message): Buffer {
  const out = new ByteWriter();
  encodeMessage(out, value);
  return out.copy();
}

/** Views of buffers as plain arrays, so that messages compare by value. */
function plain(value: Message): unknown {
  return JSON.parse(
    JSON.stringify(value, (_key, field: unknown) => {
      if (field instanceof Map) return [...field];
      if (field instanceof Uint8Array) return Buffer.from(field).toString('hex');
      const json = field as { type?: string; data?: number[] } | null;
      return json?.type === 'Buffer' ? Buffer.from(json.data!).toString('hex') : field;
    }),
  );
}

/** Decodes, or reports the CorruptionError; anything else fails the test. */
function tryDecode(bytes: Uint8Array): Message | CorruptionError {
  try {
    return decodeMessage(bytes);
  } catch (error) {
    if (error instanceof CorruptionError) return error;
    throw error;
  }
}

test('every message comes back as it was', () => {
  fc.assert(
    fc.property(message, (value) => {
      assert.deepEqual(plain(decodeMessage(bytesOf(value))), plain(value));
    }),
    { numRuns: 1000 },
  );
});

test('a message cut at any byte, or with a byte too many, is corrupt', () => {
  fc.assert(
    fc.property(message, (value) => {
      const bytes = bytesOf(value);
      for (let end = 0; end < bytes.length; end++) {
        assert.ok(tryDecode(bytes.subarray(0, end)) instanceof CorruptionError, `cut at ${end} of ${bytes.length}`);
      }
      assert.ok(tryDecode(Buffer.concat([bytes, Buffer.of(0)])) instanceof CorruptionError);
    }),
    { numRuns: 300 },
  );
});

test('a flipped bit gives a CorruptionError or another message that encodes to the same bytes', () => {
  fc.assert(
    fc.property(message, fc.nat(), (value, at) => {
      const bytes = bytesOf(value);
      const bit = at % (bytes.length * 8);
      bytes[bit >> 3]! ^= 1 << (bit & 7);
      const decoded = tryDecode(bytes);
      if (decoded instanceof CorruptionError || decoded.type === 'foreign-hello') return;
      assert.deepEqual(plain(decodeMessage(bytesOf(decoded))), plain(decoded));
    }),
    { numRuns: 3000 },
  );
});

test('random bytes never do anything but decode or be corrupt', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      tryDecode(bytes);
    }),
    { numRuns: 5000 },
  );
});

test('a count that its bytes cannot hold is refused before anything is allocated', () => {
  const huge = new ByteWriter()
    .u8(4)
    .varint(2 ** 45)
    .copy(); // have: vector of 2^45 actors
  const before = process.memoryUsage().arrayBuffers;
  assert.throws(() => decodeMessage(huge), CorruptionError);
  assert.throws(
    () =>
      decodeMessage(
        new ByteWriter()
          .u8(3)
          .varint(0)
          .varint(2 ** 40)
          .copy(),
      ),
    CorruptionError,
  );
  assert.throws(
    () =>
      decodeMessage(
        new ByteWriter()
          .u8(5)
          .varint(1025)
          .raw(Buffer.alloc(1025 * 32))
          .copy(),
      ),
    /1025 ids/,
  );
  assert.ok(process.memoryUsage().arrayBuffers - before < 1024 * 1024);
});

test('a hello of another protocol version is recognised by its version alone', () => {
  const foreign = new ByteWriter().u8(1).u16(99).raw(Buffer.from('whatever comes in version 99')).copy();
  assert.deepEqual(decodeMessage(foreign), { type: 'foreign-hello', version: 99 });
});

test('control characters never reach a terminal', () => {
  const sly = new ByteWriter().u8(2).u8(1).utf8('paris\u001b[2J').copy();
  assert.throws(() => decodeMessage(sly), /control characters/);
  const told = goodbye('rejected', `bad\n\u001b[2Jthing ${'é'.repeat(2000)}`);
  assert.equal(decodeMessage(bytesOf(told)).type, 'goodbye');
});

test('a message too large for a frame travels in parts', () => {
  const bytes = Buffer.alloc(20 * 1024 * 1024 + 17, 0xa5);
  const value: Message = { type: 'objects', objects: [{ id: 'ab'.repeat(32), kind: 1, bytes }] };
  const frames = encodeFrames(value);
  assert.ok(frames.length > 1);
  const assembler = new FrameAssembler();
  let got: Message | undefined;
  for (const frame of frames) {
    assert.ok(frame.length <= MAX_FRAME_BYTES);
    assert.equal(got, undefined);
    got = assembler.push(frame);
  }
  assert.ok(got?.type === 'objects' && bytes.equals(got.objects[0]!.bytes));
  assert.ok(assembler.push(encodeFrames({ type: 'barrier' })[0]!)?.type === 'barrier');
});

test('parts that are short, out of place or without end are refused', () => {
  const part = Buffer.alloc(1024 * 1024 + 1, 1);
  assert.throws(() => new FrameAssembler().push(Buffer.of(1, 2, 3)), /part of 2 bytes/);
  assert.throws(() => new FrameAssembler().push(Buffer.alloc(0)), CorruptionError);
  assert.throws(() => new FrameAssembler().push(Buffer.of(7, 2, 3)), /kind 7/);
  assert.throws(() => new FrameAssembler().push(Buffer.alloc(MAX_FRAME_BYTES + 1)), /frame of/);
  const interrupted = new FrameAssembler();
  interrupted.push(part);
  assert.throws(() => interrupted.push(encodeFrames({ type: 'barrier' })[0]!), CorruptionError);
  const endless = new FrameAssembler();
  assert.throws(() => {
    for (let i = 0; i <= MAX_MESSAGE_BYTES / (part.length - 1); i++) endless.push(part);
  }, /message above/);
});

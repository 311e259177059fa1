import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ByteWriter, CorruptionError } from '../codec/bytes.js';
import { decodeEntries, decodeInode, encodeEntries, encodeInode } from './inode-codec.js';
import type { Entry } from './inode.js';
import { Inode, LinksApart } from './inode.js';

const time = fc
  .tuple(fc.integer({ min: -(2 ** 43), max: 2 ** 43 }), fc.integer({ min: 0, max: 999_999_999 }))
  .map(([s, ns]) => ({ s, ns }));
const latin1 = fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes).toString('latin1'));
const entry: fc.Arbitrary<Entry> = fc.record(
  {
    counter: fc.nat(),
    actor: fc.nat(1000),
    stamp: fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER }),
    value: fc.oneof(latin1, fc.string({ unit: 'grapheme' }), fc.integer({ min: -(2 ** 50), max: 2 ** 50 })),
  },
  { noNullPrototype: true },
);
const inode = fc
  .record({
    registers: fc.dictionary(
      fc.oneof(latin1, fc.constantFrom('born', 'link:0')),
      fc.array(entry, { minLength: 1, maxLength: 3 }),
    ),
    nlink: fc.nat(),
    atime: time,
    ctime: time,
  })
  .map(({ registers, nlink, atime, ctime }) => new Inode(77, new Map(Object.entries(registers)), nlink, atime, ctime));

function encode(value: Inode): Buffer {
  const writer = new ByteWriter();
  encodeInode(writer, value);
  return writer.copy();
}

test('an inode survives its encoding', () => {
  fc.assert(fc.property(inode, (value) => assert.deepEqual(decodeInode(77, encode(value)), value)));
});

test('truncated or changed bytes are a CorruptionError or another inode, never anything else', () => {
  fc.assert(
    fc.property(inode, fc.nat(), fc.nat(255), (value, at, byte) => {
      const bytes = encode(value);
      assert.throws(() => decodeInode(77, bytes.subarray(0, at % bytes.length)), CorruptionError);
      bytes[at % bytes.length] = byte;
      try {
        decodeInode(77, bytes);
      } catch (error) {
        assert.ok(error instanceof CorruptionError);
      }
    }),
  );
});

test('an inode whose links are kept apart survives its encoding, and one that lacks a link is a CorruptionError', () => {
  const links = fc.dictionary(
    fc.nat().map((link) => `link:${link}`),
    fc.array(entry, { minLength: 1, maxLength: 3 }),
    { minKeys: 1, maxKeys: 5 },
  );
  fc.assert(
    fc.property(inode, links, (value, more) => {
      const others = new Set(value.otherFields());
      value.linksApart = new LinksApart(others, new Set());
      for (const [field, entries] of Object.entries(more)) value.write(field, entries);
      const kept = [...value.registers.keys()]
        .filter((field) => !others.has(field))
        .map((field) => {
          const writer = new ByteWriter();
          encodeEntries(writer, value.registers.get(field)!);
          return [field, decodeEntries(writer.copy(), field)] as const;
        });
      value.linksApart.unkept = new Set();
      assert.deepEqual(
        decodeInode(77, encode(value), () => kept),
        value,
      );
      assert.throws(() => decodeInode(77, encode(value), () => kept.slice(1)), /should be/);
    }),
  );
});

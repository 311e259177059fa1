// content-model.test-support.ts — what the tests of writable content compare with: a plain buffer with the rules of the man pages, and the
// operations that are run against both. Not part of the product.

import assert from 'node:assert/strict';
import fc from 'fast-check';
import { PosixError } from '../errno.js';
import { randomBytes } from './chunks-fixture.test-support.js';
import { BLOCK_BYTES } from './writable-content.js';
import type { WritableContent } from './writable-content.js';

export type ContentOp =
  | { readonly op: 'write'; readonly offset: number; readonly length: number; readonly seed: number }
  | { readonly op: 'truncate'; readonly size: number }
  | { readonly op: 'fallocate'; readonly mode: number; readonly offset: number; readonly length: number }
  | { readonly op: 'reopen' }
  | { readonly op: 'publish' };

/** Operations within `limit` bytes. */
export function anyOps(limit: number): fc.Arbitrary<ContentOp[]> {
  const offset = fc.nat(limit);
  const blocks = fc.nat(Math.floor(limit / BLOCK_BYTES)).map((n) => n * BLOCK_BYTES);
  const within = (op: ContentOp): ContentOp =>
    'length' in op ? { ...op, length: Math.max(0, Math.min(op.length, limit - op.offset)) } : op;
  return fc.array(
    fc
      .oneof(
        {
          weight: 4,
          arbitrary: fc.record({ op: fc.constant('write' as const), offset, length: fc.nat(9000), seed: fc.nat() }),
        },
        { weight: 2, arbitrary: fc.record({ op: fc.constant('truncate' as const), size: offset }) },
        {
          weight: 3,
          arbitrary: fc.record({
            op: fc.constant('fallocate' as const),
            mode: fc.constantFrom(0, 1, 3, 16, 17, 2, 64),
            offset,
            length: fc.nat(limit >> 2),
          }),
        },
        {
          weight: 2,
          arbitrary: fc.record({
            op: fc.constant('fallocate' as const),
            mode: fc.constantFrom(8, 32),
            offset: blocks,
            length: fc.nat(8).map((n) => n * BLOCK_BYTES),
          }),
        },
        { weight: 1, arbitrary: fc.constant({ op: 'reopen' as const }) },
        { weight: 1, arbitrary: fc.constant({ op: 'publish' as const }) },
      )
      .map(within),
    { maxLength: 25 },
  );
}

/** The bytes, and what a call must answer: undefined, or an errno. */
export class ModelContent {
  bytes: Buffer;
  private readonly limit: number;

  /** Operations that would make more than `limit` bytes are left out: see {@link outgrows}. */
  constructor(bytes: Buffer, limit: number) {
    this.bytes = bytes;
    this.limit = limit;
  }

  outgrows(op: ContentOp): boolean {
    if (op.op !== 'fallocate') return false;
    return op.mode === 32 ? this.bytes.length + op.length > this.limit : op.offset + op.length > this.limit;
  }

  private resize(size: number): void {
    this.bytes = Buffer.concat([this.bytes.subarray(0, size), Buffer.alloc(Math.max(0, size - this.bytes.length))]);
  }

  apply(op: ContentOp): string | undefined {
    if (op.op === 'write' && op.length > 0) {
      this.resize(Math.max(this.bytes.length, op.offset + op.length));
      randomBytes(op.length, op.seed).copy(this.bytes, op.offset);
    }
    if (op.op === 'truncate') this.resize(op.size);
    return op.op === 'fallocate' ? this.fallocate(op.mode, op.offset, op.length) : undefined;
  }

  private fallocate(mode: number, offset: number, length: number): string | undefined {
    const end = offset + length;
    const { bytes } = this;
    if (![0, 1, 3, 8, 16, 17, 32].includes(mode)) return 'EOPNOTSUPP';
    if (length === 0) return 'EINVAL';
    if (mode === 8) {
      if (end >= bytes.length) return 'EINVAL';
      this.bytes = Buffer.concat([bytes.subarray(0, offset), bytes.subarray(end)]);
    } else if (mode === 32) {
      if (offset >= bytes.length) return 'EINVAL';
      this.bytes = Buffer.concat([bytes.subarray(0, offset), Buffer.alloc(length), bytes.subarray(offset)]);
    } else {
      if (mode === 0 || mode === 16) this.resize(Math.max(bytes.length, end));
      if (mode !== 0 && mode !== 1)
        this.bytes.fill(0, Math.min(offset, this.bytes.length), Math.min(end, this.bytes.length));
    }
    return undefined;
  }
}

/** Applies an operation to content; returns the errno that it failed with. */
export function applyOp(content: WritableContent, op: ContentOp): string | undefined {
  try {
    if (op.op === 'write') content.write(op.offset, randomBytes(op.length, op.seed));
    else if (op.op === 'truncate') content.truncate(op.size);
    else if (op.op === 'fallocate') content.fallocate(op.mode, op.offset, op.length);
    return undefined;
  } catch (error) {
    if (error instanceof PosixError) return error.code;
    throw error;
  }
}

/** Everything that can be asked of content agrees with its bytes. */
export function checkContent(content: WritableContent, bytes: Buffer): void {
  assert.equal(content.size, bytes.length);
  const into = Buffer.alloc(bytes.length + 2, 0xee);
  assert.equal(content.read(0, bytes.length + 1, into, 1), bytes.length);
  const difference = into.subarray(1, bytes.length + 1).equals(bytes)
    ? -1
    : into.findIndex((b, i) => b !== bytes[i - 1] && i > 0) - 1;
  assert.equal(difference, -1, `byte ${difference} differs`);
  assert.ok(into[0] === 0xee && into[bytes.length + 1] === 0xee);
  assert.equal(content.read(bytes.length, 10, into, 0), 0);
  checkHoles(content, bytes);
}

function seek(find: () => number): number | undefined {
  try {
    return find();
  } catch (error) {
    if (error instanceof PosixError && error.code === 'ENXIO') return undefined;
    throw error;
  }
}

/** Runs of data and holes alternate up to the end, and all holes are zeros. */
function checkHoles(content: WritableContent, bytes: Buffer): void {
  let at = 0;
  while (at < bytes.length) {
    const data = seek(() => content.seekData(at)) ?? bytes.length;
    assert.ok(data >= at);
    assert.ok(data === at || data === bytes.length || data % BLOCK_BYTES === 0, `data at ${data}, inside a block`);
    assert.ok(
      bytes.subarray(at, data).every((byte) => byte === 0),
      `no hole in [${at}, ${data})`,
    );
    if (data === bytes.length) break;
    const hole = content.seekHole(data);
    assert.ok(hole > data && hole <= bytes.length, `data at ${data} ends at ${hole}`);
    assert.ok(hole === bytes.length || hole % BLOCK_BYTES === 0, `a hole at ${hole}, inside a block`);
    at = hole;
  }
  assert.equal(
    seek(() => content.seekData(bytes.length)),
    undefined,
  );
  assert.equal(
    seek(() => content.seekHole(bytes.length)),
    undefined,
  );
}

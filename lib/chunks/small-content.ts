// small-content.ts — a file below the inline limit that is being written: all of it in one buffer that grows.
// Which blocks hold data is tracked in a mask, so that holes stay holes, in the next version too. What would outgrow
// SMALL_CONTENT_MAX is refused (our bug): the volume spills the content into a working copy first, see WorkingCopy.spill.

import { posixError } from '../errno.js';
import { checkFallocate, sizeAfter } from './fallocate-rules.js';
import { INLINE_LIMIT, MAX_FILE_BYTES, NO_HOLES } from './manifest.js';
import { BLOCK_BYTES, SECTOR_BYTES } from './writable-content.js';
import type { WritableContent } from './writable-content.js';

/** The largest size that a SmallContent takes, in bytes: every one fits into a manifest. */
export const SMALL_CONTENT_MAX = INLINE_LIMIT - 1;

const INITIAL_BYTES = 4096;

export class SmallContent implements WritableContent {
  private buffer: Buffer;
  private length: number;
  /** Bit n: block n, of BLOCK_BYTES, holds data or is allocated. */
  private allocated: number;

  /** Takes over `bytes`, does not copy them; `holes` as in their manifest. */
  constructor(bytes: Buffer = Buffer.alloc(0), holes = NO_HOLES) {
    if (bytes.length > SMALL_CONTENT_MAX) throw new RangeError(`${bytes.length} bytes are too many for SmallContent`);
    this.buffer = bytes;
    this.length = bytes.length;
    this.allocated = blockMask(0, bytes.length);
    for (let i = 0; i < holes.length; i += 2) this.allocated &= ~blockMask(holes[i]!, holes[i + 1]!);
  }

  get size(): number {
    return this.length;
  }

  /** All bytes, as a view that the next change invalidates. */
  bytes(): Buffer {
    return this.buffer.subarray(0, this.length);
  }

  read(offset: number, length: number, into: Buffer, at: number): number {
    const end = Math.min(offset + length, this.length);
    return offset >= end ? 0 : this.buffer.copy(into, at, offset, end);
  }

  write(offset: number, data: Uint8Array): void {
    const end = offset + data.length;
    if (data.length === 0) return;
    if (end > this.length) this.resize(end);
    this.buffer.set(data, offset);
    this.allocated |= blockMask(offset, end);
  }

  truncate(size: number): void {
    if (size < this.length) this.allocated &= blockMask(0, size);
    this.resize(size);
  }

  /** Bytes that come into the file are zeros. */
  private resize(size: number): void {
    if (size > SMALL_CONTENT_MAX) throw new RangeError(`${size} bytes outgrow SmallContent: spill it first`);
    if (size > this.buffer.length) {
      const capacity = Math.min(Math.max(size, this.buffer.length * 2, INITIAL_BYTES), INLINE_LIMIT);
      const larger = Buffer.alloc(capacity);
      this.buffer.copy(larger, 0, 0, this.length);
      this.buffer = larger;
    } else if (size > this.length) {
      this.buffer.fill(0, this.length, size);
    }
    this.length = size;
  }

  fallocate(mode: number, offset: number, length: number): void {
    const verb = checkFallocate(mode, offset, length, this.length, MAX_FILE_BYTES);
    const end = offset + length;
    const size = sizeAfter(mode, offset, length, this.length);
    if (verb === 'collapse') {
      this.buffer.copyWithin(offset, end, this.length);
      this.allocated = spliceBlocks(this.allocated, offset, length, 0);
      this.resize(size);
    } else if (verb === 'insert') {
      const old = this.length;
      this.resize(size);
      this.buffer.copyWithin(end, offset, old);
      this.buffer.fill(0, offset, end);
      this.allocated = spliceBlocks(this.allocated, offset, 0, length);
    } else {
      if (size > this.length) this.resize(size);
      if (verb !== 'allocate') this.buffer.fill(0, Math.min(offset, size), Math.min(end, size));
      if (verb === 'punch') this.allocated &= ~wholeBlockMask(offset, end);
      else this.allocated |= blockMask(offset, Math.min(end, SMALL_CONTENT_MAX));
    }
  }

  seekData(offset: number): number {
    for (let at = offset; at < this.length; at = nextBlock(at)) if (this.isData(at)) return at;
    throw posixError('ENXIO');
  }

  seekHole(offset: number): number {
    if (offset >= this.length) throw posixError('ENXIO');
    for (let at = offset; at < this.length; at = nextBlock(at)) if (!this.isData(at)) return at;
    return this.length;
  }

  private isData(position: number): boolean {
    return (this.allocated & (1 << Math.floor(position / BLOCK_BYTES))) !== 0;
  }

  /** The runs of data as [start, end), in order. */
  *dataRuns(): Generator<[number, number]> {
    for (let at = 0; at < this.length;) {
      if (!this.isData(at)) {
        at = nextBlock(at);
        continue;
      }
      const end = this.seekHole(at);
      yield [at, end];
      at = end;
    }
  }

  /** The holes as start, end, start, end, …: those of a manifest. */
  holes(): readonly number[] {
    const whole = blockMask(0, this.length);
    if ((this.allocated & whole) === whole) return NO_HOLES;
    const holes: number[] = [];
    for (let at = this.seekHole(0); at < this.length;) {
      let end = at;
      while (end < this.length && !this.isData(end)) end = nextBlock(end);
      holes.push(at, Math.min(end, this.length));
      at = end < this.length ? this.seekHole(end) : end;
    }
    return holes;
  }

  blocks(): number {
    let count = 0;
    for (let mask = this.allocated; mask !== 0; mask &= mask - 1) count++;
    return (count * BLOCK_BYTES) / SECTOR_BYTES;
  }

  close(): void {
    this.buffer = Buffer.alloc(0);
    this.length = 0;
    this.allocated = 0;
  }
}

function nextBlock(position: number): number {
  return (Math.floor(position / BLOCK_BYTES) + 1) * BLOCK_BYTES;
}

/** The blocks that [start, end) touches. */
function blockMask(start: number, end: number): number {
  if (start >= end) return 0;
  return bits(Math.floor(start / BLOCK_BYTES), Math.ceil(end / BLOCK_BYTES));
}

/** The blocks that lie in [start, end) as a whole. */
function wholeBlockMask(start: number, end: number): number {
  return bits(Math.ceil(start / BLOCK_BYTES), Math.floor(end / BLOCK_BYTES));
}

const BLOCKS = INLINE_LIMIT / BLOCK_BYTES;

/** Bits from … to-1, of those that a SmallContent has. */
function bits(from: number, to: number): number {
  if (from >= to || from >= BLOCKS) return 0;
  return (2 ** Math.min(to, BLOCKS) - 1) & ~(2 ** from - 1);
}

/** The mask after `removed` bytes at `offset` gave way to `added` bytes of hole; all in whole blocks. */
function spliceBlocks(mask: number, offset: number, removed: number, added: number): number {
  const at = offset / BLOCK_BYTES;
  const below = mask & bits(0, at);
  const above = Math.floor(mask / 2 ** (at + removed / BLOCK_BYTES));
  return (below | (above * 2 ** (at + added / BLOCK_BYTES))) & bits(0, BLOCKS);
}

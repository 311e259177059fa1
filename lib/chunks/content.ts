// content.ts — the bytes of a file as a sequence of pieces of other contents: what a merge makes, without copying any of them.
// Invariant: immutable; pieces are never empty and tile [0, size). Memory is that of the pieces, whatever the size: bytes are read
// when they are asked for, from a version's chunks or from a buffer.

import type { ObjectId } from '../crdt/ids.js';
import { extentIndex, nextData, nextHole } from './manifest.js';
import type { Manifest } from './manifest.js';
import { readManifest } from './manifest-reader.js';
import type { ObjectSource } from './object-store.js';

/** Where bytes come from. */
export interface Source {
  readonly size: number;
  /** Copies [offset, offset + length), which must be within `size`. AbsentObjects, CorruptionError. */
  read(offset: number, length: number, into: Buffer, at: number): void;
  /** The first byte at or after `offset` that is in no hole, or `size`. */
  nextData(offset: number): number;
  /** The first byte at or after `offset` that is in a hole, or `size`. */
  nextHole(offset: number): number;
  /** What names the bytes at `offset` without their being read: equal names and places mean equal bytes up to `end`. */
  identity(offset: number): Identity;
}

export interface Identity {
  /** Null: nothing is known but the bytes themselves. */
  readonly name: string | null;
  /** Of `offset` in what is named. */
  readonly place: number;
  readonly end: number;
}

/** A version's bytes. */
export class VersionSource implements Source {
  readonly size: number;

  constructor(
    readonly id: ObjectId,
    readonly manifest: Manifest,
    private readonly objects: ObjectSource,
  ) {
    this.size = manifest.size;
  }

  read(offset: number, length: number, into: Buffer, at: number): void {
    readManifest(this.objects, this.manifest, offset, length, into, at);
  }

  nextData(offset: number): number {
    const data = nextData(this.manifest, offset);
    return data < 0 ? this.size : data;
  }

  nextHole(offset: number): number {
    return offset < this.size ? nextHole(this.manifest, offset) : this.size;
  }

  identity(offset: number): Identity {
    const { manifest } = this;
    if (manifest.inline) return { name: this.id, place: offset, end: this.size };
    const extent = manifest.extents[extentIndex(manifest, offset)]!;
    const end = extent.offset + extent.length;
    return extent.chunk === null
      ? { name: 'hole', place: 0, end }
      : { name: extent.chunk, place: offset - extent.offset, end };
  }
}

/** Bytes in memory, which must not change. */
export class BufferSource implements Source {
  readonly size: number;

  constructor(private readonly bytes: Buffer) {
    this.size = bytes.length;
  }

  read(offset: number, length: number, into: Buffer, at: number): void {
    this.bytes.copy(into, at, offset, offset + length);
  }

  nextData(offset: number): number {
    return offset;
  }

  nextHole(): number {
    return this.size;
  }

  identity(): Identity {
    return { name: null, place: 0, end: this.size };
  }
}

export interface Piece {
  readonly source: Source;
  /** In the source. */
  readonly from: number;
  readonly length: number;
}

export class Content {
  readonly size: number;
  readonly pieces: readonly Piece[];
  /** Where each piece starts. */
  private readonly starts: readonly number[];

  constructor(pieces: readonly Piece[]) {
    const joined: Piece[] = [];
    for (const piece of pieces) {
      const last = joined.at(-1);
      if (piece.length === 0) continue;
      if (last && last.source === piece.source && last.from + last.length === piece.from) {
        joined[joined.length - 1] = { ...last, length: last.length + piece.length };
      } else joined.push(piece);
    }
    const starts: number[] = [];
    let size = 0;
    for (const { length } of joined) {
      starts.push(size);
      size += length;
    }
    this.pieces = joined;
    this.starts = starts;
    this.size = size;
  }

  static of(source: Source): Content {
    return new Content([{ source, from: 0, length: source.size }]);
  }

  static readonly empty = new Content([]);

  /** The pieces of [from, to), which must be within the size. */
  slice(from: number, to: number): Piece[] {
    const pieces: Piece[] = [];
    for (let i = this.pieceAt(from), at = from; at < to; i++) {
      const { source, from: start, length } = this.pieces[i]!;
      const skipped = at - this.starts[i]!;
      const taken = Math.min(length - skipped, to - at);
      pieces.push({ source, from: start + skipped, length: taken });
      at += taken;
    }
    return pieces;
  }

  /** AbsentObjects, CorruptionError. */
  read(from: number, to: number): Buffer {
    const bytes = Buffer.allocUnsafe(to - from);
    let at = 0;
    for (const { source, from: start, length } of this.slice(from, to)) {
      source.read(start, length, bytes, at);
      at += length;
    }
    return bytes;
  }

  identity(offset: number): Identity {
    const i = this.pieceAt(offset);
    const { source, from, length } = this.pieces[i]!;
    const start = this.starts[i]!;
    const { name, place, end } = source.identity(from + offset - start);
    return { name, place, end: start + Math.min(end - from, length) };
  }

  private pieceAt(offset: number): number {
    let low = 0;
    let high = this.starts.length;
    while (high - low > 1) {
      const middle = (low + high) >>> 1;
      if (this.starts[middle]! <= offset) low = middle;
      else high = middle;
    }
    return low;
  }
}

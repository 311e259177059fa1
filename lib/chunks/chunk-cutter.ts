// chunk-cutter.ts — where a file is cut into chunks: FastCDC (Xia et al., USENIX ATC 2016, IEEE TPDS 2020), normalised chunking.
// Invariant: a cut depends on the bytes since the last cut alone, never on how they came in; after a cut nothing is remembered.
// All sites must cut alike, else equal files share no chunk: a change of any constant here makes every site store anew.
// Pure. Deliberately keeps no bytes: it is told of them, and says where to cut.

import { MAX_CHUNK_BYTES } from './manifest.js';

/** Chunks are at least this long, in bytes, except the last of a run of data. */
export const MIN_CHUNK_BYTES = 64 << 10;
/** Up to here cuts are rare, past it frequent, so that most chunks end near it. Bytes. */
export const NORMAL_CHUNK_BYTES = 256 << 10;

/** 18 bits would give one cut in 256 KiB; normalisation level 2 asks for two more before the normal length, two fewer after. */
const STRICT_MASK = -1 << (32 - 20);
const LOOSE_MASK = -1 << (32 - 16);
/** A 32-bit gear hash remembers this many bytes; it starts so many before the first possible cut. */
const WINDOW_BYTES = 32;
const WARM_UP_BYTES = MIN_CHUNK_BYTES - WINDOW_BYTES;

/** 'WEFT' */
const GEAR_SEED = 0x57454654;
const GEAR = gearTable(GEAR_SEED);

/** 256 pseudo-random 32-bit numbers: splitmix32, a 32-bit form of Steele et al., OOPSLA 2014, with the finaliser of MurmurHash3. */
function gearTable(seed: number): Int32Array {
  const table = new Int32Array(256);
  let state = seed | 0;
  for (let i = 0; i < table.length; i++) {
    state = (state + 0x9e3779b9) | 0;
    let mixed = Math.imul(state ^ (state >>> 16), 0x85ebca6b);
    mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
    table[i] = mixed ^ (mixed >>> 16);
  }
  return table;
}

export class ChunkCutter {
  /** Bytes since the last cut. */
  private length = 0;
  private hash = 0;

  /**
   * Takes note of bytes[from, to), which follow what it was given before. Returns the index just past the first cut among them
   * (the bytes from there on must be given again), or -1: all of them belong to the chunk that has begun.
   */
  scan(bytes: Uint8Array, from: number, to: number): number {
    let at = from;
    while (at < to) {
      const { length } = this;
      let stop: number;
      if (length < WARM_UP_BYTES) {
        stop = Math.min(to, at + WARM_UP_BYTES - length);
      } else if (length < MIN_CHUNK_BYTES) {
        stop = Math.min(to, at + MIN_CHUNK_BYTES - length);
        this.warmUp(bytes, at, stop);
      } else {
        const strict = length < NORMAL_CHUNK_BYTES;
        stop = Math.min(to, at + (strict ? NORMAL_CHUNK_BYTES : MAX_CHUNK_BYTES) - length);
        const cut = this.search(bytes, at, stop, strict ? STRICT_MASK : LOOSE_MASK);
        if (cut >= 0 || length + stop - at === MAX_CHUNK_BYTES) {
          this.reset();
          return cut >= 0 ? cut : stop;
        }
      }
      this.length += stop - at;
      at = stop;
    }
    return -1;
  }

  /** Starts a chunk, whatever came before. */
  reset(): void {
    this.length = 0;
    this.hash = 0;
  }

  private warmUp(bytes: Uint8Array, from: number, to: number): void {
    let { hash } = this;
    for (let i = from; i < to; i++) hash = ((hash << 1) + GEAR[bytes[i]!]!) | 0;
    this.hash = hash;
  }

  /** The index past the first byte at which the hash has zeros under the mask, or -1. Four bytes a round: twice as fast as one. */
  private search(bytes: Uint8Array, from: number, to: number, mask: number): number {
    let { hash } = this;
    let i = from;
    for (const rounds = to - 3; i < rounds; i += 4) {
      hash = ((hash << 1) + GEAR[bytes[i]!]!) | 0;
      if ((hash & mask) === 0) return i + 1;
      hash = ((hash << 1) + GEAR[bytes[i + 1]!]!) | 0;
      if ((hash & mask) === 0) return i + 2;
      hash = ((hash << 1) + GEAR[bytes[i + 2]!]!) | 0;
      if ((hash & mask) === 0) return i + 3;
      hash = ((hash << 1) + GEAR[bytes[i + 3]!]!) | 0;
      if ((hash & mask) === 0) return i + 4;
    }
    for (; i < to; i++) {
      hash = ((hash << 1) + GEAR[bytes[i]!]!) | 0;
      if ((hash & mask) === 0) return i + 1;
    }
    this.hash = hash;
    return -1;
  }
}

// bytes.ts — bounded reading and growing writing of little-endian bytes.
// Invariant: a reader never reads outside its buffer and never allocates more than the input holds; what does not fit is
// a CorruptionError that says where. Names and other byte strings travel as latin1 strings: one char per byte, lossless.

/** Bytes that cannot be what they claim to be: a torn record, a foreign file, a hostile frame. */
export class CorruptionError extends Error {
  constructor(what: string) {
    super(what);
    this.name = 'CorruptionError';
  }
}

const MAX_SAFE_HIGH = 0x1f_ffff; // a safe integer has 53 bits: 21 above the low 32

/** Reads little-endian values from a buffer, each checked against its end. */
export class ByteReader {
  readonly buffer: Buffer;
  offset: number;
  readonly end: number;

  constructor(bytes: Uint8Array, offset = 0, end = bytes.length) {
    this.buffer = Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.offset = offset;
    this.end = end;
  }

  get remaining(): number {
    return this.end - this.offset;
  }

  private take(length: number, what: string): number {
    const at = this.offset;
    if (length < 0 || at + length > this.end) {
      throw new CorruptionError(`${what}: needs ${length} bytes at ${at}, has ${this.end - at}`);
    }
    this.offset = at + length;
    return at;
  }

  u8(what = 'u8'): number {
    return this.buffer[this.take(1, what)]!;
  }

  u16(what = 'u16'): number {
    return this.buffer.readUInt16LE(this.take(2, what));
  }

  u32(what = 'u32'): number {
    return this.buffer.readUInt32LE(this.take(4, what));
  }

  /** A u64 that must be a safe integer (53 bits). */
  safe64(what = 'u64'): number {
    const at = this.take(8, what);
    const high = this.buffer.readUInt32LE(at + 4);
    if (high > MAX_SAFE_HIGH) throw new CorruptionError(`${what}: above 2^53`);
    return high * 2 ** 32 + this.buffer.readUInt32LE(at);
  }

  /** An unsigned LEB128 of at most 53 bits. */
  varint(what = 'varint'): number {
    let value = 0;
    let scale = 1;
    for (let i = 0; i < 8; i++) {
      const byte = this.u8(what);
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) {
        if (!Number.isSafeInteger(value)) throw new CorruptionError(`${what}: varint above 2^53`);
        return value;
      }
      scale *= 128;
    }
    throw new CorruptionError(`${what}: varint too long`);
  }

  /** A signed integer in zig-zag LEB128, |value| below 2^52. */
  signed(what = 'signed'): number {
    const raw = this.varint(what);
    return raw % 2 === 0 ? raw / 2 : -(raw + 1) / 2;
  }

  /** `length` bytes as a view on the input, not a copy. */
  view(length: number, what = 'bytes'): Buffer {
    const at = this.take(length, what);
    return this.buffer.subarray(at, at + length);
  }

  /** A varint length, then that many bytes, as a view. */
  bytes(what = 'bytes', max = Number.MAX_SAFE_INTEGER): Buffer {
    const length = this.varint(what);
    if (length > max) throw new CorruptionError(`${what}: ${length} bytes, at most ${max}`);
    return this.view(length, what);
  }

  /** A varint length, then that many bytes, as a latin1 string. */
  latin1(what = 'string', max = Number.MAX_SAFE_INTEGER): string {
    const length = this.varint(what);
    if (length > max) throw new CorruptionError(`${what}: ${length} bytes, at most ${max}`);
    const at = this.take(length, what);
    return this.buffer.toString('latin1', at, at + length);
  }

  /** A varint length, then that many bytes, as UTF-8. */
  utf8(what = 'string', max = Number.MAX_SAFE_INTEGER): string {
    return this.bytes(what, max).toString('utf8');
  }

  finish(what: string): void {
    if (this.offset !== this.end) throw new CorruptionError(`${what}: ${this.end - this.offset} bytes too many`);
  }
}

/** Writes little-endian values to a buffer that grows. Reuse one writer with {@link reset} on hot paths. */
export class ByteWriter {
  buffer: Buffer;
  length = 0;

  constructor(capacity = 256) {
    this.buffer = Buffer.allocUnsafeSlow(capacity);
  }

  reset(): this {
    this.length = 0;
    return this;
  }

  private grow(by: number): number {
    const at = this.length;
    const need = at + by;
    if (need > this.buffer.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(need, this.buffer.length * 2));
      this.buffer.copy(larger, 0, 0, at);
      this.buffer = larger;
    }
    this.length = need;
    return at;
  }

  u8(value: number): this {
    const at = this.grow(1);
    this.buffer[at] = value;
    return this;
  }

  u16(value: number): this {
    const at = this.grow(2);
    this.buffer.writeUInt16LE(value, at);
    return this;
  }

  u32(value: number): this {
    const at = this.grow(4);
    this.buffer.writeUInt32LE(value, at);
    return this;
  }

  /** A safe integer (53 bits) as u64. */
  safe64(value: number): this {
    const at = this.grow(8);
    this.buffer.writeUInt32LE(value % 2 ** 32, at);
    this.buffer.writeUInt32LE(Math.floor(value / 2 ** 32), at + 4);
    return this;
  }

  varint(value: number): this {
    if (!(Number.isSafeInteger(value) && value >= 0)) throw new RangeError(`varint of ${value}`);
    let at = this.grow(8);
    while (value >= 0x80) {
      this.buffer[at++] = (value % 0x80) | 0x80;
      value = Math.floor(value / 0x80);
    }
    this.buffer[at++] = value;
    this.length = at;
    return this;
  }

  signed(value: number): this {
    return this.varint(value >= 0 ? value * 2 : -value * 2 - 1);
  }

  raw(bytes: Uint8Array): this {
    const at = this.grow(bytes.length);
    this.buffer.set(bytes, at);
    return this;
  }

  bytes(bytes: Uint8Array): this {
    return this.varint(bytes.length).raw(bytes);
  }

  /** One byte per char: the string must be latin1. */
  latin1(text: string): this {
    this.varint(text.length);
    const at = this.grow(text.length);
    this.buffer.write(text, at, text.length, 'latin1');
    return this;
  }

  utf8(text: string): this {
    return this.bytes(Buffer.from(text, 'utf8'));
  }

  /** What was written, as a view that the next reset invalidates. */
  view(): Buffer {
    return this.buffer.subarray(0, this.length);
  }

  /** What was written, as a copy. */
  copy(): Buffer {
    return Buffer.from(this.view());
  }
}

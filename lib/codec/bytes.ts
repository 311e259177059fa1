// bytes.ts — bounded reading and growing writing of little-endian bytes.
// Invariant: a reader never reads outside its buffer and never allocates more than the input holds; what does not fit is
// a CorruptionError that says where. Names and other byte strings travel as latin1 strings: one char per byte, lossless.
// LEB128: https://dwarfstd.org/doc/DWARF5.pdf, section 7.6.

/** Bytes that cannot be what they claim to be: a torn record, a foreign file, a hostile frame. */
export class CorruptionError extends Error {
  constructor(what: string) {
    super(what);
    this.name = 'CorruptionError';
  }
}

const MAX_SAFE_HIGH = 0x1f_ffff; // a safe integer has 53 bits: 21 above the low 32
/** Up to so many bytes a loop is faster than a call out of JavaScript. */
const SHORT = 32;
/** UTF-8 bytes of one UTF-16 unit, at most. */
const MAX_UTF8_BYTES = 3;
/** Decimal digits that are sure to fit 32-bit arithmetic. */
const LOW_DIGITS = 8;
const LOW_SPAN = 10 ** LOW_DIGITS;

/** Of a safe integer of at least 0 below 2^31. */
function digitCount(value: number): number {
  let count = 1;
  for (; value >= 10; value = (value / 10) | 0) count++;
  return count;
}

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

  /** A signed LEB128 (two's complement) that is a safe integer. */
  sleb128(what = 'sleb128'): number {
    let value = 0;
    let scale = 1;
    for (let i = 0; i < 8; i++) {
      const byte = this.u8(what);
      if (byte < 0x80) {
        // Its sign is part of the last digit: apart, the sum would leave the safe integers.
        value += (byte < 0x40 ? byte : byte - 0x80) * scale;
        if (!Number.isSafeInteger(value)) break;
        return value;
      }
      value += (byte & 0x7f) * scale;
      scale *= 128;
    }
    throw new CorruptionError(`${what}: above 2^53`);
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
    const length = this.varint(what);
    if (length > max) throw new CorruptionError(`${what}: ${length} bytes, at most ${max}`);
    return this.text(length, what);
  }

  /** `length` bytes as UTF-8; what is none becomes U+FFFD. */
  text(length: number, what = 'string'): string {
    const at = this.take(length, what);
    return this.buffer.toString('utf8', at, at + length);
  }

  /** `length` bytes as hex digits. */
  hex(length: number, what = 'bytes'): string {
    const at = this.take(length, what);
    return this.buffer.toString('hex', at, at + length);
  }

  /** A reader of the next `length` bytes alone, behind which this one goes on. */
  part(length: number, what = 'bytes'): ByteReader {
    const at = this.take(length, what);
    return new ByteReader(this.buffer, at, at + length);
  }

  finish(what: string): void {
    if (this.offset !== this.end) throw new CorruptionError(`${what}: ${this.end - this.offset} bytes too many`);
  }
}

/** Writes little-endian values to a buffer that grows. Reuse one writer with {@link reset} on hot paths. */
export class ByteWriter {
  buffer: Buffer;
  length = 0;

  /** `room`: how much to begin with, or a buffer to write to as far as it goes. */
  constructor(room: number | Buffer = 256) {
    this.buffer = typeof room === 'number' ? Buffer.allocUnsafeSlow(room) : room;
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

  /** A safe integer as signed LEB128 (two's complement). */
  sleb128(value: number): this {
    if (!Number.isSafeInteger(value)) throw new RangeError(`sleb128 of ${value}`);
    let at = this.grow(8);
    while (value < -0x40 || value >= 0x40) {
      const rest = Math.floor(value / 0x80); // an arithmetic shift, for 53 bits
      this.buffer[at++] = (value - rest * 0x80) | 0x80;
      value = rest;
    }
    this.buffer[at++] = value & 0x7f;
    this.length = at;
    return this;
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

  /** `length` bytes given as hex digits. */
  hex(digits: string, length: number): this {
    const at = this.grow(length);
    if (digits.length !== length * 2 || this.buffer.write(digits, at, 'hex') !== length)
      throw new RangeError(`${digits.slice(0, 100)}: not ${length} bytes in hex`);
    return this;
  }

  /** A safe integer of at least 0, in decimal digits. */
  decimal(value: number): this {
    if (!(Number.isSafeInteger(value) && value >= 0)) throw new RangeError(`decimal of ${value}`);
    const high = Math.floor(value / LOW_SPAN);
    if (high === 0) return this.digits(value, digitCount(value));
    return this.digits(high, digitCount(high)).digits(value - high * LOW_SPAN, LOW_DIGITS);
  }

  private digits(value: number, count: number): this {
    const at = this.grow(count);
    const { buffer } = this;
    for (let i = at + count - 1; i >= at; i--) {
      const rest = (value / 10) | 0;
      buffer[i] = 0x30 + value - rest * 10;
      value = rest;
    }
    return this;
  }

  /** A varint length, then the text as UTF-8. */
  utf8(text: string): this {
    return this.bytes(Buffer.from(text, 'utf8'));
  }

  /**
   * The text as UTF-8, without its length; a lone surrogate becomes U+FFFD.
   * @returns how many bytes it has
   */
  text(text: string): number {
    const { length } = text;
    const at = this.length;
    if (length > SHORT || !this.ascii(text)) {
      this.grow(length <= SHORT ? length * MAX_UTF8_BYTES : Buffer.byteLength(text));
      this.length = at + this.buffer.write(text, at, 'utf8');
    }
    return this.length - at;
  }

  /** Writes the text if it is ASCII, else nothing. */
  private ascii(text: string): boolean {
    const { length } = text;
    const at = this.grow(length);
    const { buffer } = this;
    for (let i = 0; i < length; i++) {
      const code = text.charCodeAt(i);
      if (code >= 0x80) {
        this.length = at;
        return false;
      }
      buffer[at + i] = code;
    }
    return true;
  }

  /** What another writer holds. */
  append({ buffer: from, length }: ByteWriter): this {
    const at = this.grow(length);
    const { buffer } = this;
    if (length > SHORT) from.copy(buffer, at, 0, length);
    else for (let i = 0; i < length; i++) buffer[at + i] = from[i]!;
    return this;
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

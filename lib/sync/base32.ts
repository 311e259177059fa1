// base32.ts — bytes as text that people can read to each other: Douglas Crockford's Base32, lower case, without padding.

const DIGITS = '0123456789abcdefghjkmnpqrstvwxyz';
const VALUES = new Map([...DIGITS].map((digit, value) => [digit, value]));
/** Letters that are left out because they look like digits read as those digits. */
const LOOKALIKES: Record<string, string> = { o: '0', i: '1', l: '1' };

/** The length must be a multiple of five bytes: eight digits each. */
export function encodeBase32(bytes: Uint8Array): string {
  if (bytes.length % 5 !== 0) throw new RangeError(`${bytes.length} bytes are no whole base32 groups`);
  let bits = 0;
  let bitCount = 0;
  let text = '';
  for (const byte of bytes) {
    bits = (bits << 8) | byte;
    bitCount += 8;
    for (; bitCount >= 5; bitCount -= 5) text += DIGITS[(bits >> (bitCount - 5)) & 31];
    bits &= 31;
  }
  return text;
}

/** null: not whole groups of base32 digits. */
export function decodeBase32(text: string): Uint8Array | null {
  if (text.length % 8 !== 0) return null;
  const bytes = new Uint8Array((text.length / 8) * 5);
  let bits = 0;
  let bitCount = 0;
  let at = 0;
  for (const char of text.toLowerCase()) {
    const value = VALUES.get(LOOKALIKES[char] ?? char);
    if (value === undefined) return null;
    bits = ((bits << 5) | value) & 0xfff;
    bitCount += 5;
    if (bitCount >= 8) {
      bitCount -= 8;
      bytes[at++] = (bits >> bitCount) & 0xff;
    }
  }
  return bytes;
}

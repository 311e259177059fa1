// name-hash.ts — where a name stands in its directory: the readdir cookie, computed from the name.
// Invariant: a cookie depends on the name and the key alone, so an entry keeps its place whatever comes and goes around it, and a
// listing needs no snapshot (the idea of ext4's htree; there equal hashes have equal cookies, here the low bits tell them apart,
// because the kernel may resume after any entry). HalfSipHash-1-3 (https://github.com/veorq/SipHash): keyed, so that nobody can
// choose names that collide; 32-bit arithmetic, so that it is fast in JavaScript.

/** Names that may share a hash in one directory; a keyed 45-bit hash does not come near it. */
export const COOKIES_PER_HASH = 32;
/** Cookies below are free for `.` and `..`. */
export const FIRST_COOKIE = COOKIES_PER_HASH;
/** Where the journal's meta table keeps the key. */
export const NAME_HASH_KEY = 'name hash key';
/** Bytes of the key. */
export const NAME_HASH_KEY_BYTES = 8;

const HASH_HIGH_BITS = 13;
const FINAL_ROUNDS = 3;

/** First of the {@link COOKIES_PER_HASH} cookies of a name: at least {@link FIRST_COOKIE}, below 2^51. */
export type NameHash = (name: string) => number;

/** The hash of one site's directories. `key`: {@link NAME_HASH_KEY_BYTES} random bytes, kept with the directories. */
export function nameHash(key: Uint8Array): NameHash {
  const view = new DataView(key.buffer, key.byteOffset, NAME_HASH_KEY_BYTES);
  const k0 = view.getInt32(0, true);
  const k1 = view.getInt32(4, true);

  return (name) => {
    let v0 = k0;
    let v1 = k1 ^ 0xee; // of the variant with 64 bits of output
    let v2 = k0 ^ 0x6c796765;
    let v3 = k1 ^ 0x74656462;
    let low = 0;
    const words = name.length >> 2; // whole ones; the last, with the length on top, comes after them
    const rounds = words + 1 + 2 * FINAL_ROUNDS;
    // One round per word and the final rounds without a word, in one loop: a shared function would cost more than the round.
    for (let i = 0; i < rounds; i++) {
      let word = 0;
      const at = i * 4;
      if (i < words) {
        word =
          name.charCodeAt(at) |
          (name.charCodeAt(at + 1) << 8) |
          (name.charCodeAt(at + 2) << 16) |
          (name.charCodeAt(at + 3) << 24);
      } else if (i === words) {
        word = name.length << 24;
        for (let j = at; j < name.length; j++) word |= name.charCodeAt(j) << (8 * (j - at));
      }
      v3 ^= word;

      v0 = (v0 + v1) | 0;
      v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0;
      v0 = (v0 << 16) | (v0 >>> 16);
      v2 = (v2 + v3) | 0;
      v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2;
      v0 = (v0 + v3) | 0;
      v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0;
      v2 = (v2 + v1) | 0;
      v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2;
      v2 = (v2 << 16) | (v2 >>> 16);

      v0 ^= word;
      if (i === words) {
        v2 ^= 0xee;
      } else if (i === words + FINAL_ROUNDS) {
        low = (v1 ^ v3) >>> 0;
        v1 ^= 0xdd;
      }
    }
    const high = ((v1 ^ v3) >>> 0) % 2 ** HASH_HIGH_BITS;
    return (high * 2 ** 32 + low) * COOKIES_PER_HASH + FIRST_COOKIE;
  };
}

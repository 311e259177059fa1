// change-format.ts — the numbers of the Automerge binary format that our changes use, for those who write and read them.
// Spec: https://automerge.org/automerge-binary-format-spec/ ("Chunk Container", "Change Chunks", "Columnar Storage Format")

/** The bytes 85 6f 4a 83. */
export const MAGIC = 0x834a6f85;
/** Behind the magic: the first bytes of the hash. */
export const CHECKSUM_AT = 4;
/** From here on the hash is taken: type, length, contents. */
export const TYPE_AT = 8;
/** Type of an uncompressed change. */
export const CHANGE_CHUNK = 1;

/** Automerge counts operations in 32 bits: what a document, and so an epoch of a volume, can hold. */
export const MAX_OP = 2 ** 32 - 1;

export const ACTOR_BYTES = 16;
export const HASH_BYTES = 32;

/** Operation columns by their specification: id × 16 + type. Operations on the root map leave the others of the format empty. */
export const COLUMN = {
  keyString: 0x15,
  insert: 0x34,
  action: 0x42,
  valueMetadata: 0x56,
  value: 0x57,
  predGroup: 0x70,
  predActor: 0x71,
  predCounter: 0x73,
} as const;

export const ACTION_SET = 1;
/** In value metadata, behind length × 16. */
export const VALUE_TYPE = { int: 4, string: 6 } as const;

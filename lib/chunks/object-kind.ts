// object-kind.ts — the kinds of objects, and what names one: the SHA-256 of its bytes. An object is immutable.

import { hash } from 'node:crypto';
import { CorruptionError } from '../codec/bytes.js';
import type { ObjectId } from '../crdt/ids.js';
import { MAX_CHUNK_BYTES, MAX_MANIFEST_BYTES } from './manifest.js';

export const ObjectKind = { manifest: 1, chunk: 2 } as const;
export type ObjectKind = (typeof ObjectKind)[keyof typeof ObjectKind];

/** An object that is known of and not held. */
export interface MissingObject {
  readonly id: ObjectId;
  readonly kind: ObjectKind;
  /** Of the content that waits for it: a chunk's length, or the size of the file that a manifest is of; 0 where that is not known. */
  readonly bytes: number;
}

export function isObjectKind(kind: number): kind is ObjectKind {
  return kind === ObjectKind.manifest || kind === ObjectKind.chunk;
}

/** SHA-256 of the bytes, in lower-case hex. */
export function objectIdOf(bytes: Uint8Array): ObjectId {
  return hash('sha256', bytes, 'hex');
}

/** No object of a kind is longer, in bytes. */
export function maxObjectBytes(kind: ObjectKind): number {
  return kind === ObjectKind.chunk ? MAX_CHUNK_BYTES : MAX_MANIFEST_BYTES;
}

/** Throws unless `bytes` are the object that `id` names. `where` says where they came from. */
export function verifyObject(id: ObjectId, bytes: Uint8Array, where: string): void {
  const actual = objectIdOf(bytes);
  if (actual !== id) throw new CorruptionError(`object ${id}: ${where} gave bytes whose SHA-256 is ${actual}`);
}

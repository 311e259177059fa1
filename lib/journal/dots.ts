// dots.ts — where the changes that a change builds on stand: actor and seq of each, beside the hashes that the change itself has.
// A hash alone tells nothing once the change behind it is not in the journal any more (floor.ts): where it stood still tells whether
// it was here. Stored with local actor indexes, in the order of the change's own list.

import { ByteReader, ByteWriter } from '../codec/bytes.js';

/** A change by its place in its actor's sequence; the actor is a local index. */
export interface LocalDot {
  readonly actor: number;
  readonly seq: number;
}

export function encodeDots(dots: readonly LocalDot[]): Buffer {
  const writer = new ByteWriter(16);
  for (const { actor, seq } of dots) writer.varint(actor).varint(seq);
  return Buffer.from(writer.view());
}

/** @throws CorruptionError */
export function decodeDots(bytes: Buffer): LocalDot[] {
  const reader = new ByteReader(bytes);
  const dots: LocalDot[] = [];
  while (reader.remaining > 0) dots.push({ actor: reader.varint('actor'), seq: reader.varint('seq') });
  return dots;
}

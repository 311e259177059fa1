// base-part.ts — the base of a journal as it travels: where it begins, and its registers part by part.
// Invariant: what is decoded is well formed: registers that a change could have written, by operations that the floor covers, each register's
// entries in order. Two sites with the same floor have the same base, so its parts may come from one of them and then from another.
// Bytes of a part: varint actors × 16 bytes · varint inodes × { varint ino · the inode as in inode-codec.ts, its actors by place }

import { hash as hashOf } from 'node:crypto';
import { ByteReader, ByteWriter, CorruptionError } from '../codec/bytes.js';
import type { ActorId, ActorTable, Ino } from '../crdt/ids.js';
import { decodeInode, encodeInode } from '../crdt/inode-codec.js';
import type { Entry, Inode } from '../crdt/inode.js';
import { formatKey, validateOp } from '../crdt/register-schema.js';
import { compareEntries } from '../crdt/register.js';
import { bareInode } from './base-rows.js';
import { ACTOR_BYTES } from './change-format.js';

/** The last change of an actor below a floor. */
export interface BaseActor {
  readonly actor: ActorId;
  readonly seq: number;
  /** The counter of its last operation. */
  readonly op: number;
  /** SHA-256 hex. */
  readonly hash: string;
}

/** Where a base ends. */
export interface BaseOffer {
  /** {@link baseId} of the actors. */
  readonly id: string;
  /** By actor id. */
  readonly actors: readonly BaseActor[];
  /** Hashes of its changes that no other of them builds on, ascending. */
  readonly heads: readonly string[];
  /** The latest stamp of its changes, microseconds since 1970. */
  readonly stamp: number;
  readonly inodes: number;
}

/** Inodes of a base, ascending. */
export interface BasePart {
  readonly id: string;
  /** Those behind this one; -1: from the first. */
  readonly after: Ino;
  /** The last one in it. */
  readonly last: Ino;
  /** There are no more behind it. */
  readonly done: boolean;
  readonly bytes: Uint8Array;
}

/** Names a base: the changes that it is made of. 64 hex digits. */
export function baseId(actors: readonly Pick<BaseActor, 'actor' | 'seq' | 'hash'>[]): string {
  return hashOf('sha256', actors.map(({ actor, seq, hash }) => `${actor} ${seq} ${hash}\n`).join(''));
}

export function encodeBasePart(inodes: readonly Inode[], actorOf: (index: number) => ActorId): Buffer {
  const places = new Map<number, number>();
  const placeOf = (index: number): number => {
    const place = places.get(index) ?? places.size;
    places.set(index, place);
    return place;
  };
  const body = new ByteWriter(1 << 16);
  const one = new ByteWriter(1024);
  for (const { ino, registers } of inodes) {
    const placed = [...registers].map(
      ([field, entries]) => [field, entries.map((entry) => ({ ...entry, actor: placeOf(entry.actor) }))] as const,
    );
    encodeInode(one.reset(), bareInode(ino, new Map(placed)));
    body.varint(ino).bytes(one.view());
  }
  const out = new ByteWriter(body.view().length + 1024);
  out.varint(places.size);
  for (const index of places.keys()) out.raw(Buffer.from(actorOf(index), 'hex'));
  out.varint(inodes.length).raw(body.view());
  return Buffer.from(out.view());
}

/**
 * @param covers whether an operation is one of those that the base is made of
 * @throws CorruptionError
 */
export function decodeBasePart(
  { after, last, bytes }: Pick<BasePart, 'after' | 'last' | 'bytes'>,
  actors: ActorTable,
  covers: (actor: number, counter: number) => boolean,
): Inode[] {
  const reader = new ByteReader(bytes);
  const indexes: number[] = [];
  for (let left = reader.varint('actors'); left > 0; left--) {
    // Those that the base is made of are known from the offer: others would be noted for good.
    const actor = reader.hex(ACTOR_BYTES, 'actor of base');
    const index = actors.indexOf(actor);
    if (index === undefined) throw new CorruptionError(`base: actor ${actor} is none of those that it is made of`);
    indexes.push(index);
  }
  const inodes: Inode[] = [];
  let before = after;
  for (let left = reader.varint('inodes'); left > 0; left--) {
    const ino = reader.varint('inode of base');
    if (ino <= before) throw new CorruptionError(`base: inode ${ino} after ${before}`);
    before = ino;
    const registers = new Map<string, readonly Entry[]>();
    for (const [field, placed] of decodeInode(ino, reader.bytes('registers of base')).registers) {
      const entries = placed.map((entry): Entry => {
        const actor = indexes[entry.actor];
        if (actor === undefined || !covers(actor, entry.counter))
          throw new CorruptionError(`base: ${formatKey(ino, field)}: written by an operation that is not in it`);
        validateOp(formatKey(ino, field), entry.value);
        return { ...entry, actor };
      });
      for (const [i, entry] of entries.entries()) {
        if (i > 0 && compareEntries(entries[i - 1]!, entry, actors) <= 0)
          throw new CorruptionError(`base: ${formatKey(ino, field)}: entries out of order`);
      }
      registers.set(field, entries);
    }
    inodes.push(bareInode(ino, registers));
  }
  reader.finish('part of a base');
  if ((inodes.at(-1)?.ino ?? after) !== last) throw new CorruptionError(`base: a part that does not end at ${last}`);
  return inodes;
}

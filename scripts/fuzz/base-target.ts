// base-target.ts — parts of the base that a site sends to one that lacks what its journal dropped.

import assert from 'node:assert/strict';
import { ActorTable } from '../../lib/crdt/ids.js';
import type { Entry, Inode } from '../../lib/crdt/inode.js';
import { type BasePart, decodeBasePart, encodeBasePart } from '../../lib/journal/base-part.js';
import { bareInode } from '../../lib/journal/base-rows.js';
import type { Random } from '../../lib/sim/random.js';

const ACTORS = ['ab', 'cd', 'ef'].map((hex) => hex.repeat(16));
/** What the offer says of each. */
const LAST_OP = 1000;
const VALUES = {
  mode: (random: Random) => random.below(0o7777) * 65_537,
  uid: (random: Random) => random.below(2 ** 31),
  'link:0': (random: Random) => `${1 + random.below(9)}/${random.hex(4)}`,
  'x:user.a': (random: Random) => `=${random.hex(3)}`,
} as const;

function randomInode(random: Random, ino: number): Inode {
  const registers = new Map<string, readonly Entry[]>();
  for (const [field, valueOf] of Object.entries(VALUES)) {
    if (random.chance(0.4)) continue;
    // The latest first, as a register has them.
    const stamp = 1 + random.below(2 ** 31);
    const entries = Array.from({ length: 1 + random.below(2) }, (_, i) => ({
      actor: random.below(ACTORS.length),
      counter: 1 + random.below(LAST_OP),
      stamp: stamp - i,
      value: valueOf(random),
    }));
    registers.set(field, entries);
  }
  return bareInode(ino, registers);
}

/** u32 of the inode behind which it begins, u32 of its last one, and its bytes. */
export function generateBasePart(random: Random): Buffer {
  let ino = random.below(100);
  const head = Buffer.alloc(8);
  head.writeUInt32LE(ino);
  const inodes = Array.from({ length: random.below(5) }, () => randomInode(random, (ino += 1 + random.below(50))));
  head.writeUInt32LE(ino, 4);
  return Buffer.concat([head, encodeBasePart(inodes, (index) => ACTORS[index]!)]);
}

/** @throws CorruptionError, an assertion where what was taken is written back as something else, or where actors were noted for nothing */
export function takeBasePart(input: Buffer): string {
  if (input.length < 8) return 'no part';
  const part = { after: input.readUInt32LE(0), last: input.readUInt32LE(4), bytes: input.subarray(8) };
  const [inodes, actors] = decode(part);
  const written = encodeBasePart(inodes, (index) => actors.id(index));
  assert.deepEqual(decode({ ...part, bytes: written })[0], inodes);
  return `${Math.min(inodes.length, 3)} inodes`;
}

function decode(part: Pick<BasePart, 'after' | 'last' | 'bytes'>): [Inode[], ActorTable] {
  const actors = new ActorTable();
  for (const actor of ACTORS) actors.intern(actor);
  try {
    return [decodeBasePart(part, actors, (_, counter) => counter <= LAST_OP), actors];
  } finally {
    assert.equal(actors.size, ACTORS.length, 'actors that the base is not made of were noted');
  }
}

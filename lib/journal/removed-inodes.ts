// removed-inodes.ts — reads removed inodes that nothing in the journal is about any more: many to a block, which is compressed.
// Such an inode may never be forgotten, for a site that was put back from a backup may yet name it; in rows of its own it takes 740
// bytes for good, in a block some 100. removed-packing.ts writes them.
// Invariant: a block says of an inode what the changes below the floor say, so for as long as `removed` names the block, `base` has no row
// of it. A row of it in `inode` is newer and goes before.
//
//   block: the deflated bytes (RFC 1951) of varint number × { varint ino · bytes: the inode (lib/crdt/inode-codec.ts) }, sealed under its id

import { deflateRawSync, inflateRawSync } from 'node:zlib';
import { LRUCache } from 'lru-cache';
import { ByteReader, ByteWriter, CorruptionError } from '../codec/bytes.js';
import type { Ino } from '../crdt/ids.js';
import { decodeInode, encodeInode } from '../crdt/inode-codec.js';
import type { Inode } from '../crdt/inode.js';
import { seal, SEAL_BYTES, unseal } from './row-sum.js';
import type { Connection, Statement } from './schema.js';

/** The bytes of each inode of a block. */
export type RemovedBlock = ReadonlyMap<Ino, Uint8Array>;

const CACHE_BYTES = 8 * 2 ** 20;
/** What a block's inodes may come to: a few of them have long extended attributes. */
const MAX_BLOCK_BYTES = 2 ** 30;
const BYTES_PER_ENTRY = 100;

/** The value of column `state` of the block with this id. */
export function encodeBlock(id: number, inodes: readonly Inode[]): Buffer {
  const writer = new ByteWriter(1 << 16).varint(inodes.length);
  const one = new ByteWriter(1024);
  for (const inode of inodes) {
    encodeInode(one.reset(), inode);
    writer.varint(inode.ino).bytes(one.view());
  }
  return seal(id, deflateRawSync(writer.view()));
}

/** @throws CorruptionError */
export function decodeBlock(id: number, state: Buffer): RemovedBlock {
  const what = `block ${id} of removed inodes`;
  const reader = new ByteReader(inflate(what, unseal(what, id, state)));
  const block = new Map<Ino, Uint8Array>();
  for (let left = reader.varint(what); left > 0; left--) block.set(reader.varint(what), reader.bytes(what));
  reader.finish(what);
  return block;
}

function inflate(what: string, bytes: Buffer): Buffer {
  try {
    return inflateRawSync(bytes, { maxOutputLength: MAX_BLOCK_BYTES });
  } catch (error) {
    throw new CorruptionError(`${what}: ${(error as Error).message}`);
  }
}

export class RemovedInodes {
  private readonly select: Statement;
  private readonly blocks = new LRUCache<string, RemovedBlock>({
    maxSize: CACHE_BYTES,
    sizeCalculation: (block) => {
      let bytes = 1;
      for (const inode of block.values()) bytes += inode.length + BYTES_PER_ENTRY;
      return bytes;
    },
  });

  constructor(db: Connection) {
    this.select = db
      .prepare('select block, state from removed left join removed_block on id = block where ino = ?')
      .raw();
  }

  /** Undefined when it is in no block. @throws CorruptionError */
  read(ino: Ino): Inode | undefined {
    const bytes = this.bytes(ino);
    return bytes && decodeInode(ino, bytes);
  }

  /** As {@link read}, not decoded. */
  bytes(ino: Ino): Uint8Array | undefined {
    return this.blockOf(ino)?.get(ino);
  }

  /** The block that it is in. @throws CorruptionError */
  blockOf(ino: Ino): RemovedBlock | undefined {
    const row = this.select.get(ino) as [id: number, state: Buffer | null] | undefined;
    if (!row) return undefined;
    const [id, state] = row;
    const block = state === null ? undefined : this.block(id, state);
    if (!block?.has(ino))
      throw new CorruptionError(`removed inode ${ino}: not in block ${id}, where state.db says that it is`);
    return block;
  }

  /** Ids are given anew when a block is gone: its sum tells one from the other. */
  private block(id: number, state: Buffer): RemovedBlock {
    const sum = Buffer.isBuffer(state) ? state.toString('latin1', state.length - SEAL_BYTES) : '';
    const key = `${id}/${sum}`;
    let block = this.blocks.get(key);
    if (!block) {
      block = decodeBlock(id, state);
      this.blocks.set(key, block);
    }
    return block;
  }
}

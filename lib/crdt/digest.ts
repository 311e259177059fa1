// digest.ts — one number for the whole visible tree: equal at two sites exactly when they show the same.
// Invariant: a function of what is seen (names, inode numbers, attributes but atime and ctime, extended attributes, versions of
// content), never of local indexes or of the order in a store. The sum mod 2^256 of one hash per directory entry and one per
// inode, so that a million inodes need no sorting. It finds divergence, not malice: sums of hashes can be forged.

import { ByteWriter } from '../codec/bytes.js';
import { attributesOf, typeOf, xattrNames, xattrOf } from './inode-attributes.js';
import type { HeadVersion, InodeAttributes } from './inode-attributes.js';
import type { Ino } from './ids.js';
import type { Inode } from './inode.js';
import { direntsOf } from './liveness.js';
import { sameOp } from './register.js';
import type { TreeStore } from './tree-store.js';

/** SHA-256 or another function with 32 bytes of output. The input is only valid during the call. */
export type Hash = (bytes: Uint8Array) => Uint8Array;

const WORDS = 8;
const WORD = 2 ** 32;
/** So many 32-bit words can be added before a sum leaves the safe integers. */
const CARRY_EVERY = 2 ** 20;
const ENTRY_RECORD = 1;
const INODE_RECORD = 2;

/** A sum of 256-bit little-endian numbers. */
class Sum256 {
  readonly #words = new Float64Array(WORDS);
  #pending = 0;

  add(hash: Uint8Array): void {
    for (let i = 0; i < WORDS; i++) {
      const at = i * 4;
      this.#words[i]! += hash[at]! + hash[at + 1]! * 2 ** 8 + hash[at + 2]! * 2 ** 16 + hash[at + 3]! * 2 ** 24;
    }
    if (++this.#pending === CARRY_EVERY) this.#carry();
  }

  #carry(): void {
    let carry = 0;
    for (let i = 0; i < WORDS; i++) {
      const sum = this.#words[i]! + carry;
      carry = Math.floor(sum / WORD);
      this.#words[i] = sum % WORD;
    }
    this.#pending = 0;
  }

  hex(): string {
    this.#carry();
    const bytes = Buffer.alloc(WORDS * 4);
    for (let i = 0; i < WORDS; i++) bytes.writeUInt32LE(this.#words[i]!, i * 4);
    return bytes.toString('hex');
  }
}

/** What a store shows. */
export interface TreeSum {
  /** 64 hex digits. */
  readonly digest: string;
  /** The root and conflict copies included. */
  readonly inodes: number;
}

/** The sum of the tree that a store shows. Reads every inode and entry once. */
export function sumOf(store: TreeStore, hash: Hash): TreeSum {
  const sum = new Sum256();
  const writer = new ByteWriter(1024);
  const parents = new Set<Ino>();
  let inodes = 0;
  for (const ino of store.inodes()) {
    const inode = store.inode(ino)!;
    if (inode.nlink === 0) continue;
    inodes++;
    const attributes = attributesOf(inode);
    sum.add(hash(inodeRecord(writer, ino, inode.nlink, inode, attributes, attributes.head)));
    if (typeOf(inode) === 'd') parents.add(ino);
  }
  for (const [ino, copy] of store.copies()) {
    const source = store.inode(copy.source)!;
    const attributes = attributesOf(source);
    const version = attributes.heads.find((head) => sameOp(head, copy));
    sum.add(hash(inodeRecord(writer, ino, 1, source, attributes, version)));
    inodes++;
  }
  for (const parent of parents) {
    for (const { name, ino } of direntsOf(store, parent)) {
      writer.reset().u8(ENTRY_RECORD).safe64(parent).latin1(name).safe64(ino);
      sum.add(hash(writer.view()));
    }
  }
  return { digest: sum.hex(), inodes };
}

/** The digest alone. */
export function digestOf(store: TreeStore, hash: Hash): string {
  return sumOf(store, hash).digest;
}

/** @param head the version that it shows; of a copy, not the file's own */
function inodeRecord(
  writer: ByteWriter,
  ino: Ino,
  nlink: number,
  inode: Inode,
  attributes: InodeAttributes,
  head: HeadVersion | undefined,
): Uint8Array {
  const { type, mode, uid, gid, rdev, target } = attributes;
  const isShownVersion = head === attributes.head;
  const size = isShownVersion ? attributes.size : head!.size;
  const mtime = isShownVersion ? attributes.mtime : head!.mtime;
  writer.reset().u8(INODE_RECORD).safe64(ino).varint(nlink).latin1(type);
  writer.varint(mode).varint(uid).varint(gid).varint(rdev).varint(size).signed(mtime.s).varint(mtime.ns);
  writer.latin1(target).latin1(head?.manifest ?? '');
  const names = xattrNames(inode);
  writer.varint(names.length);
  for (const name of names) writer.latin1(name).latin1(xattrOf(inode, name)!);
  return writer.view();
}

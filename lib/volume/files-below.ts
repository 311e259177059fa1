// files-below.ts — the files of a tree, and the versions that each of them shows.
// Invariant: a file with several names in the tree comes once; of concurrent versions all come, whichever has the name.

import { parseHead } from '../crdt/fields.js';
import type { Ino, ObjectId } from '../crdt/ids.js';
import type { Inode } from '../crdt/inode.js';
import { isDirectory } from '../crdt/inode-attributes.js';
import type { TreeStore } from '../crdt/tree-store.js';

export interface ShownVersion {
  readonly manifest: ObjectId;
  readonly size: number;
}

const LISTED_AT_ONCE = 1_000;

/** The regular files at and below these inodes, but for what is at and below `except`. A conflict copy stands for its file. */
export function* filesBelow(
  roots: Iterable<Ino>,
  store: TreeStore,
  except: ReadonlySet<Ino> = new Set(),
): Generator<Inode> {
  const seen = new Set<Ino>();
  const waiting = [...roots];
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    const ino = store.copy(next)?.source ?? store.alias(next) ?? next;
    if (seen.has(ino) || except.has(ino)) continue;
    seen.add(ino);
    const inode = store.inode(ino);
    if (!inode) continue;
    if (!isDirectory(inode)) {
      if (inode.registers.has('head')) yield inode;
      continue;
    }
    for (let after = 0; ;) {
      const entries = store.list(ino, after, LISTED_AT_ONCE);
      for (const entry of entries) waiting.push(entry.ino);
      if (entries.length < LISTED_AT_ONCE) break;
      after = entries.at(-1)!.cookie;
    }
  }
}

export function versionsOf(inode: Inode): ShownVersion[] {
  return (inode.registers.get('head') ?? []).map(({ value }) => {
    const { manifest, size } = parseHead(value);
    return { manifest, size };
  });
}

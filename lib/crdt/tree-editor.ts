// tree-editor.ts — writes the derived tree: dirents, link counts, and the list of what changed for those who look at it.
// Invariant: after finish() every link count agrees with the dirents. It decides nothing; replica.ts and projector.ts do.
// Maps that each operation fills are made anew, not cleared: V8 lets the table that a Map gave up lead to the next one, so that one dead
// table in the old generation keeps all later ones, and what was in them, until that is collected: a kilobyte for each operation.

import { DIRECTORY_DIRENT_TYPE } from './fields.js';
import { isDirectory } from './inode-attributes.js';
import { ROOT_INO } from './ids.js';
import type { Ino, Name } from './ids.js';
import type { Inode } from './inode.js';
import type { ViewChange } from './view-change.js';
import type { Dirent, TreeStore } from './tree-store.js';

interface EntryChange {
  readonly parent: Ino;
  readonly name: Name;
  readonly was: Ino | undefined;
  is: Ino | undefined;
}

interface DirectoryCount {
  /** Visible subdirectories gained. */
  subdirectories: number;
  /** Dirents of its own gained: 1, 0 or -1. */
  shown: number;
}

export class TreeEditor {
  readonly #store: TreeStore;
  #entries = new Map<string, EntryChange>();
  /** Inodes whose attributes changed, and whether their bytes did. */
  #inodes = new Map<Ino, boolean>();
  #directories = new Map<Ino, DirectoryCount>();

  constructor(store: TreeStore) {
    this.#store = store;
  }

  noteInode(ino: Ino, content: boolean): void {
    if (content || !this.#inodes.has(ino)) this.#inodes.set(ino, content);
  }

  /** @param was what the name resolved to */
  setDirent(dirent: Dirent, was: Dirent | undefined): void {
    this.#store.setDirent(dirent);
    if (was?.type === DIRECTORY_DIRENT_TYPE) this.#countDirectory(was, -1);
    if (dirent.type === DIRECTORY_DIRENT_TYPE) this.#countDirectory(dirent, 1);
    this.#noteEntry(dirent.parent, dirent.name, was?.ino, dirent.ino);
  }

  deleteDirent(dirent: Dirent): void {
    this.#store.deleteDirent(dirent.parent, dirent.name);
    if (dirent.type === DIRECTORY_DIRENT_TYPE) this.#countDirectory(dirent, -1);
    this.#noteEntry(dirent.parent, dirent.name, dirent.ino, undefined);
  }

  /** Counts the links of what is no directory. Not done with the dirents: that of a conflict copy is no link. */
  addLinks(inode: Inode, by: number): void {
    inode.nlink += by;
    this.#store.touch(inode);
    this.noteInode(inode.ino, false);
  }

  #noteEntry(parent: Ino, name: Name, was: Ino | undefined, is: Ino | undefined): void {
    const key = `${parent}/${name}`;
    const change = this.#entries.get(key);
    if (change) change.is = is;
    else this.#entries.set(key, { parent, name, was, is });
  }

  #countDirectory(dirent: Dirent, by: 1 | -1): void {
    this.#directory(dirent.ino).shown += by;
    this.#directory(dirent.parent).subdirectories += by;
  }

  #directory(ino: Ino): DirectoryCount {
    let count = this.#directories.get(ino);
    if (!count) this.#directories.set(ino, (count = { subdirectories: 0, shown: 0 }));
    return count;
  }

  /** Brings the link counts of directories up to date: 2 and one for each subdirectory, 0 for what is not shown. */
  settleDirectories(): void {
    if (this.#directories.size === 0) return;
    for (const [ino, { subdirectories, shown }] of this.#directories) {
      const inode = this.#store.inode(ino);
      if (!inode || !isDirectory(inode)) continue; // only a malformed change names it as a parent
      const isShown = ino === ROOT_INO || (inode.nlink > 0 ? 1 : 0) + shown > 0;
      const nlink = isShown ? Math.max(inode.nlink, 2) + subdirectories : 0;
      if (nlink === inode.nlink) continue;
      inode.nlink = nlink;
      this.#store.touch(inode);
      this.noteInode(ino, false);
    }
    this.#directories = new Map();
  }

  /** Everything that changed since the last call. */
  finish(): ViewChange[] {
    this.settleDirectories();
    const changes: ViewChange[] = [];
    if (this.#entries.size > 0) {
      for (const { parent, name, was, is } of this.#entries.values()) {
        if (was !== is) changes.push({ kind: 'entry', parent, name, was, is });
      }
      this.#entries = new Map();
    }
    for (const [ino, content] of this.#inodes) changes.push({ kind: 'inode', ino, content });
    this.#inodes = new Map();
    return changes;
  }
}

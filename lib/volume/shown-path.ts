// shown-path.ts — the way from an inode up to the root, and its path for messages to people. Of several names the first is taken.

import { DirectoryTree } from '../crdt/directory-tree.js';
import { ROOT_INO } from '../crdt/ids.js';
import type { ActorTable, Ino, Name } from '../crdt/ids.js';
import type { TreeStore } from '../crdt/tree-store.js';

/** A path is no deeper; a way up that is longer runs through a malformed change. */
const DEPTH_MAX = 4096;

/** One place that an inode has: the directory that shows it, and the name that it has or claims there. */
export interface ShownPlace {
  readonly parent: Ino;
  readonly name: Name;
}

/** Every place of an inode; none for the root and for what has no name. A conflict copy is where its file is. */
export function placesOf(ino: Ino, store: TreeStore, actors: ActorTable): ShownPlace[] {
  const tree = new DirectoryTree(store, actors);
  const inode = store.inode(store.copy(ino)?.source ?? ino);
  if (!inode || inode.ino === ROOT_INO) return [];
  return tree.claims(inode).map(({ parent, name }) => ({ parent: tree.home(parent), name }));
}

/** From the root of the volume, '/' first; undefined for what has no name there. */
export function shownPath(ino: Ino, store: TreeStore, actors: ActorTable): string | undefined {
  const names: Name[] = [];
  for (let at = ino; at !== ROOT_INO;) {
    const place = names.length < DEPTH_MAX ? placesOf(at, store, actors)[0] : undefined;
    if (!place) return undefined;
    names.push(place.name);
    at = place.parent;
  }
  return `/${names.toReversed().join('/')}`;
}

// merge-policy.ts — what becomes of concurrent versions of a file: its own extended attribute, or that of the nearest directory
// above it that has one. Anything but a known policy means `copy`, so that a site which knows fewer of them keeps copies.
// Which bytes a policy gives is not said here: lib/chunks/merge-content.ts.

import { DirectoryTree } from './directory-tree.js';
import { xattrOf } from './inode-attributes.js';
import type { ActorTable, Ino } from './ids.js';
import type { Inode } from './inode.js';
import type { TreeStore } from './tree-store.js';

/** The extended attribute that sets the policy of a file, or of all that lies below a directory. */
export const MERGE_POLICY_XATTR = 'user.weft.merge';

/**
 * `copy`: the later version has the name, the other lies beside it. `append`: all that was appended, in the order of the versions.
 * `ranges`: byte ranges that do not overlap are all applied. `text`: a three-way merge of lines.
 */
export type MergePolicy = 'copy' | 'append' | 'ranges' | 'text';

const POLICIES: ReadonlySet<string> = new Set<MergePolicy>(['copy', 'append', 'ranges', 'text']);
/** A path is no deeper; a way up that is longer runs through a malformed change. */
const DEPTH_MAX = 4096;

export function isMergePolicy(text: string): text is MergePolicy {
  return POLICIES.has(text);
}

/** The policy of a file, at its first name. */
export function mergePolicyOf(file: Inode, store: TreeStore, actors: ActorTable): MergePolicy {
  const tree = new DirectoryTree(store, actors);
  let at: Inode | undefined = file;
  let parent: Ino | undefined = tree.claims(file)[0]?.parent;
  for (let depth = 0; at && depth < DEPTH_MAX; depth++) {
    const text = xattrOf(at, MERGE_POLICY_XATTR);
    if (text !== undefined) return isMergePolicy(text) ? text : 'copy';
    if (parent === undefined) break;
    const home = tree.home(parent);
    at = store.inode(home);
    parent = tree.edge(home)?.parent;
  }
  return 'copy';
}

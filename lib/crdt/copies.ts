// copies.ts — conflict copies: the content versions of a file that lost, shown as files of their own beside it.
// Invariant: projected, never created by an operation; a copy's inode number was reserved by the writer of the version, and once
// an inode with that number is born (someone edited or renamed the copy) the version is that file's and is shown no more here.

import { attributesOf } from './inode-attributes.js';
import type { HeadVersion } from './inode-attributes.js';
import type { Ino } from './ids.js';
import type { Inode } from './inode.js';
import type { RegisterStore } from './tree-store.js';

function isSameContent(a: HeadVersion, b: HeadVersion): boolean {
  return a.manifest === b.manifest && a.size === b.size;
}

/** The versions to show as copies, best first: one for each content that differs from the winner's. */
export function losingVersions(inode: Inode, store: RegisterStore): HeadVersion[] {
  if ((inode.registers.get('head')?.length ?? 0) < 2) return [];
  const { heads } = attributesOf(inode);
  const shown: HeadVersion[] = [];
  for (const [i, head] of heads.entries()) {
    // One whose copy became a file of its own does not stand for another: that file may change.
    if (i === 0 || [heads[0]!, ...shown].some((better) => isSameContent(better, head))) continue;
    if (isBorn(head.copyIno, store) || shown.some((other) => other.copyIno === head.copyIno)) continue;
    shown.push(head);
  }
  return shown;
}

/** The versions that compete for a file's name, the winner first; one alone when there is no conflict. */
export function competingVersions(inode: Inode, store: RegisterStore): HeadVersion[] {
  const { head } = attributesOf(inode);
  return head ? [head, ...losingVersions(inode, store)] : [];
}

/** The heads that say the same as this one: what a write that settles it overwrites. */
export function headsLike(inode: Inode, head: HeadVersion): HeadVersion[] {
  return attributesOf(inode).heads.filter((other) => isSameContent(other, head));
}

function isBorn(ino: Ino, store: RegisterStore): boolean {
  return store.inode(ino)?.registers.has('born') ?? false;
}

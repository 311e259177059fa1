// settle-writes.ts — the register writes that settle a conflict where no single file call would, and those that undo a settlement.
// Invariant: as in local-writes.ts: drafts out, nothing is applied, and one register is written once. Each cites all that the
// registers hold, so what it decides is decided at every site.

import { headsLike } from './copies.js';
import { formatHead, formatInto, formatMovedPlace, linkField } from './fields.js';
import { attributesOf, isDirectory } from './inode-attributes.js';
import type { Head } from './fields.js';
import type { HeadVersion } from './inode-attributes.js';
import type { Ino, LinkId, Name } from './ids.js';
import type { Inode } from './inode.js';
import { claimsOf, createWrites, placeForGood, settleAlias, settleDeferred } from './local-writes.js';
import type { Creation, LocalTree, WriteDraft } from './local-writes.js';

/** Keeps a link where it is shown, under the name that it is shown with: moves and removals that lost are given up. */
export function placeAsShown(tree: LocalTree, inode: Inode, link: LinkId): WriteDraft[] {
  const claim = claimsOf(tree, inode).find((other) => other.link === link);
  if (!claim) return [];
  const drafts = [placeForGood(tree, claim)];
  if (isDirectory(inode)) {
    const { ino } = inode;
    drafts.push(...settleAlias(tree, ino));
    if (inode.registers.has('into')) drafts.push({ ino, field: 'into', value: formatInto(ino) });
  }
  return settleDeferred(tree, drafts, true);
}

/** Puts a link that was removed to a place where nothing is. */
export function restoreLink(ino: Ino, link: LinkId, parent: Ino, name: Name): WriteDraft {
  return { ino, field: linkField(link), value: formatMovedPlace(parent, name) };
}

/** A version in the place of the one that a file shows, and of others of its versions. */
export function replaceVersions(file: Inode, others: readonly HeadVersion[], head: Head): WriteDraft {
  const { head: shown } = attributesOf(file);
  const bases = (shown ? [shown, ...others] : others).flatMap((version) => headsLike(file, version));
  const ops = bases.map(({ counter, actor }) => ({ counter, actor }));
  return { ino: file.ino, field: 'head', value: formatHead(head), bases: ops };
}

/** A new file that has a content already; its link comes last. */
export function createWithContent(creation: Creation, head: Head): WriteDraft[] {
  const drafts = createWrites(creation);
  return [...drafts.slice(0, -1), { ino: creation.ino, field: 'head', value: formatHead(head) }, drafts.at(-1)!];
}

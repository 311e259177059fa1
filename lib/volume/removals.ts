// removals.ts — who removed a file that has no name any more, and whether that was about what is being written to it.
// Invariant: a removal is about the versions that it cites, which are those that its site saw, and about those that they go back to
// (MERGE.md: write ∥ remove). What goes on from another version than these was written after it, or by somebody who had seen that version
// bring the file back.

import { formatOp, isTombstone, LINK_PREFIX, parseLink, parseOp, type Tombstone } from '../crdt/fields.js';
import { type Ino, type OpId, type SiteId, VOLUME_INO } from '../crdt/ids.js';
import type { Inode } from '../crdt/inode.js';
import { sameOp } from '../crdt/register.js';
import { findVersion } from '../crdt/version-graph.js';
import type { VersionHistory } from '../journal/version-history.js';
import type { Core } from './core.js';

interface Removal {
  readonly isOwn: boolean;
  /** Of those of one name. */
  readonly isLatest: boolean;
  readonly cites: readonly string[];
}

export class Removals {
  constructor(
    private readonly core: Core,
    private readonly history: VersionHistory,
    private readonly siteId: SiteId,
  ) {}

  /** Whether a file without names is gone by another site's wish, and what is written on from the versions `bases` by nobody's here. */
  wereElsewhere(inode: Inode, bases: readonly OpId[]): boolean {
    const removals = this.removalsOf(inode);
    // Who removed one of several names did not say what becomes of what is in no version yet.
    if (bases.length === 0) return removals.some(({ isOwn, isLatest }) => isLatest && !isOwn);
    if (removals.every(({ isOwn }) => isOwn)) return false;
    return !removals.some(({ isOwn, cites }) => isOwn && this.isAbout(inode.ino, cites, bases));
  }

  private removalsOf({ registers }: Inode): Removal[] {
    const removals: Removal[] = [];
    for (const [field, entries] of registers) {
      if (!field.startsWith(LINK_PREFIX)) continue;
      for (const [i, { actor, value }] of entries.entries()) {
        if (!isTombstone(value)) continue;
        const isOwn = this.siteOf(actor) === this.siteId;
        removals.push({ isOwn, isLatest: i === 0, cites: (parseLink(value) as Tombstone).cites });
      }
    }
    return removals;
  }

  /** Whether a removal that cites these versions saw all of `bases`, or what came of them. */
  private isAbout(ino: Ino, cites: readonly string[], bases: readonly OpId[]): boolean {
    const { actors } = this.core;
    const { version } = this.history.versionsOf(ino);
    const seen = cites.map((cite) => parseOp(cite, actors));
    return bases.every(
      (base) =>
        cites.includes(formatOp(base.counter, actors.id(base.actor))) ||
        findVersion(seen, version, (one) => sameOp(one, base)) !== undefined,
    );
  }

  private siteOf(actor: number): SiteId | undefined {
    const registers = this.core.store.inode(VOLUME_INO)?.registers;
    return registers?.get(`actor:${this.core.actors.id(actor)}`)?.[0]?.value as SiteId | undefined;
  }
}

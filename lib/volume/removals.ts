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
    const names = this.removalsOf(inode);
    const all = names.flat();
    if (all.every(({ isOwn }) => isOwn)) return false;
    if (!all.some(({ isOwn, cites }) => isOwn && this.isAbout(inode.ino, cites, bases))) return true;
    // It was removed here when it had no other name; one that came to it elsewhere was removed there.
    return names.some((removals) => removals.every(({ isOwn }) => !isOwn));
  }

  /** Of each of its names. */
  private removalsOf({ registers }: Inode): Removal[][] {
    const names: Removal[][] = [];
    for (const [field, entries] of registers) {
      if (!field.startsWith(LINK_PREFIX)) continue;
      const removals = entries.filter(({ value }) => isTombstone(value));
      if (removals.length === 0) continue;
      names.push(
        removals.map(({ actor, value }) => ({
          isOwn: this.siteOf(actor) === this.siteId,
          cites: (parseLink(value) as Tombstone).cites,
        })),
      );
    }
    return names;
  }

  /** Whether a removal that cites these versions saw all of `bases`, or what came of them. What is in no version yet whoever removes it sees. */
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

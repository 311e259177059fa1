// call-account.ts — what the calls of one site's programs mean for the bytes that were acknowledged, told call by call.
// Invariant: only a call that returned to its caller makes bytes asked for; of one during which the daemon was killed nobody knows whether
// it had its effect, and both outcomes are allowed. What the bytes are asked for afterwards is in acknowledged-bytes.ts.

import { attributesOf } from '../crdt/inode-attributes.js';
import type { Ino } from '../crdt/ids.js';
import type { AcknowledgedBytes } from './acknowledged-bytes.js';
import type { Site } from './site.js';

/** The process of the site was killed meanwhile: nobody knows whether the call had its effect. */
export class Killed extends Error {}

export class CallAccount {
  /** Inodes whose last name was removed by this site: nobody asks for their bytes any more. */
  private readonly removedHere = new Set<Ino>();
  /**
   * What files hold for all that this site knows: nobody sees it when they are emptied or removed while their bytes are damaged, or are not
   * here; then this is what was done away with.
   */
  private readonly held = new Map<Ino, Buffer[]>();
  private step = '';

  constructor(
    private readonly site: Site,
    private readonly bytes: AcknowledgedBytes,
  ) {}

  /** What follows is part of this step. */
  begin(step: string): void {
    this.step = step;
  }

  /** The daemon was started anew. */
  forget(): void {
    this.removedHere.clear();
  }

  /** A call returned: was it the daemon's last? */
  acknowledged(): void {
    if (this.site.image !== null) throw new Killed();
  }

  /** A call that changes content returned. Nobody asks for the bytes of a file that this site removed. */
  changed(ino: Ino, before: Buffer | null, hidden: string | undefined, after: Buffer): void {
    const wanted = !this.removedHere.has(ino);
    if (before === null) this.discardHeld(ino);
    if (before === null && hidden !== undefined) this.bytes.discardedVersions.add(hidden);
    this.held.set(ino, [after]);
    const held = before ?? after.subarray(0, 0);
    if (wanted && this.site.image === null) this.bytes.changed(ino, held, after, this.site.name, this.step);
    else this.bytes.perhapsChanged(ino, held, after);
    this.acknowledged();
  }

  /** Whatever comes of a call: a file of which nobody knows what it holds besides may hold this. */
  appendingUnread(ino: Ino, data: Buffer): void {
    this.bytes.mayMix(ino);
    this.bytes.mayHold(ino, data);
  }

  /** … and it returned. */
  appendedUnread(ino: Ino, data: Buffer): void {
    const before = this.held.get(ino) ?? [];
    this.changed(ino, Buffer.alloc(0), undefined, data);
    this.held.set(ino, [...before, data]);
  }

  private discardHeld(ino: Ino): void {
    for (const data of this.held.get(ino) ?? []) this.bytes.discarded(data);
  }

  /** See {@link AcknowledgedBytes.failed}. */
  failed(before: Buffer, after: Buffer): void {
    this.bytes.failed(before, after);
  }

  /** See {@link AcknowledgedBytes.mayMix}. */
  mayMix(ino: Ino): void {
    this.bytes.mayMix(ino);
  }

  /** fsync(2) of a file that holds this returned. */
  synced(content: Buffer): void {
    this.bytes.synced(content);
  }

  /** What a removal of a file's last name does away with: what its path shows (null: not here), and what else this site has of it. */
  discards(ino: Ino, content: Buffer | null): void {
    if (content) this.bytes.discarded(content);
    else this.discardHeld(ino);
    const inode = this.site.volume.journal.store.inode(ino);
    for (const { manifest } of inode ? attributesOf(inode).heads : []) this.bytes.discardedVersions.add(manifest);
    const shown = this.versionShown(ino);
    if (shown !== undefined) this.bytes.discardedVersions.add(shown);
  }

  /** A name of it was removed. */
  removed(ino: Ino): void {
    const inode = this.site.volume.journal.store.inode(ino);
    if (inode && inode.nlink === 0) this.removedHere.add(ino);
  }

  /** The manifest of the version that an inode shows. */
  versionShown(ino: Ino): string | undefined {
    const { store } = this.site.volume.journal;
    const copy = store.copy(ino);
    const inode = store.inode(copy ? copy.source : ino);
    if (!inode) return undefined;
    const { head, heads } = attributesOf(inode);
    return copy ? heads.find((h) => h.counter === copy.counter && h.actor === copy.actor)?.manifest : head?.manifest;
  }
}

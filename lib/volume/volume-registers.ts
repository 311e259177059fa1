// volume-registers.ts — the volume's own registers: which sites it has and which share of the inode numbers each of them claimed.
// Invariant: an inode number is never used twice: each is drawn from the slot of this site, and a site without one makes nothing
// (EROFS). The first commit of a volume, its root, is made here too. What they say of the past is in volume-past.ts.

import { posixError } from '../errno.js';
import type { Ino, SiteId } from '../crdt/ids.js';
import { inoOf, MAX_SLOT, ROOT_INO, VOLUME_INO } from '../crdt/ids.js';
import { createWrites, type WriteDraft } from '../crdt/local-writes.js';
import type { Core } from './core.js';
import type { Caller } from './file-system.js';
import type { Folding } from './folding.js';

export class VolumeRegisters {
  constructor(
    private readonly core: Core,
    private readonly folding: Folding,
    private readonly siteId: SiteId,
    private readonly siteName: string,
    private slot: number | null,
  ) {}

  /** A site without a slot of inode numbers writes nothing. */
  get mayWrite(): boolean {
    return this.slot !== null;
  }

  /** A number that no inode or link of this volume has or had. */
  allocate(): Ino {
    if (this.slot === null) throw posixError('EROFS');
    return inoOf(this.slot, this.core.journal.nextCounter());
  }

  /** First commit of a new volume: its root directory, owned by `owner`. */
  createRoot(owner: Caller): void {
    const btime = this.core.clock.now();
    const root = {
      ino: ROOT_INO,
      type: 'd' as const,
      parent: VOLUME_INO,
      name: undefined,
      btime,
      mode: 0o755,
      uid: owner.uid,
      gid: owner.gid,
    };
    this.core.commits.write([createWrites(root)], btime, []);
    this.core.setCtime(ROOT_INO, btime);
    this.folding.fold();
  }

  /** Claims an inode slot for this site; `pick(n)` draws one of n at random. Returns the slot. */
  claimSlot(pick: (n: number) => number): number {
    const taken = this.takenSlots();
    const free: number[] = [];
    for (let slot = 1; slot <= MAX_SLOT; slot++) if (!taken.has(slot)) free.push(slot);
    if (free.length === 0) throw new Error(`all ${MAX_SLOT} sites of the volume are taken`);
    const slot = taken.size === 0 ? 1 : free[pick(free.length)]!;
    const writes: WriteDraft[] = [
      { ino: VOLUME_INO, field: `site:${this.siteId}`, value: this.siteName },
      { ino: VOLUME_INO, field: `slot:${slot}`, value: this.siteId },
    ];
    this.core.commits.write([writes], this.core.clock.now(), []);
    this.slot = slot;
    this.folding.fold();
    return slot;
  }

  private takenSlots(): Set<number> {
    const taken = new Set<number>();
    const fields = this.core.store.inode(VOLUME_INO)?.registers.keys() ?? [];
    for (const field of fields) if (field.startsWith('slot:')) taken.add(Number(field.slice(5)));
    return taken;
  }
}

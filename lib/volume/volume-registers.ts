// volume-registers.ts — the volume's own registers: which sites it has and which share of the inode numbers each of them claimed.
// Invariant: an inode number is never used twice: each is drawn from the slot of this site, and a site without one makes nothing
// (EROFS). Where that cannot be known of a slot any more (two sites claimed it while apart; the state went back unnoticed), the site goes
// on in a further one. Sequences of a slot begin anywhere and each start leaves some out, so that what happened until then hardly ever
// gave out the same number. The first commit of a volume, its root, is made here too. What they say of the past is in volume-past.ts.

import { posixError } from '../errno.js';
import type { Change } from '../crdt/change.js';
import type { Ino, SiteId } from '../crdt/ids.js';
import { inoOf, MAX_SEQUENCE, MAX_SLOT, ROOT_INO, sequenceOf, slotOf, VOLUME_INO } from '../crdt/ids.js';
import { createWrites, type WriteDraft } from '../crdt/local-writes.js';
import { ACTOR_PREFIX, SITE_PREFIX, SLOT_PREFIX } from '../crdt/volume-fields.js';
import type { Core } from './core.js';
import type { Caller } from './file-system.js';
import type { Folding } from './folding.js';

/** Where the sequences of a slot begin, and how many a start leaves out at most: a slot lasts for some 500 starts. */
const FIRST_SPAN = 2 ** 38;
const STEP = 2 ** 8;
const SKIP_SPAN = 2 ** 30;
/** More than one run uses up. */
const SLOT_END = MAX_SEQUENCE - 2 ** 34;
const SLOT_META = 'slot';
const BORN_END = '.born';

export class VolumeRegisters {
  private usedElsewhere = false;

  constructor(
    private readonly core: Core,
    private readonly folding: Folding,
    private readonly siteId: SiteId,
    private readonly siteName: string,
    private slot: number | null,
    private readonly pick: (n: number) => number,
    /** Told of a slot that the site claimed by itself, and why. */
    private readonly claimed: (slot: number, why: string) => void,
  ) {
    // A claim is in the state with its commit, whatever was kept of it elsewhere.
    const kept = core.journal.meta(SLOT_META);
    if (slot !== null && kept !== undefined) this.slot = Number(kept);
  }

  /** A site without a slot of inode numbers writes nothing. */
  get mayWrite(): boolean {
    return this.slot !== null;
  }

  /** A number that no inode or link of this volume has or had. */
  allocate(): Ino {
    if (this.slot === null) throw posixError('EROFS');
    return inoOf(this.slot, this.core.journal.sequences.take());
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

  /**
   * A run begins: it leaves out some numbers, since a state that went back with its whole disk, or runs twice, looks like any other.
   * To be followed by a commit.
   */
  begin(): void {
    if (this.slot === null) return;
    this.folding.fold(); // publishes, which asks for numbers
    this.core.journal.sequences.skip(this.pick(SKIP_SPAN));
    this.folding.fold();
    if (this.core.journal.sequences.isFresh(SLOT_END)) return;
    this.claimed(this.claimSlot(), 'the numbers of the one before are used up');
  }

  /** Another site's change is about to be applied, or one of another run of this site. */
  watch({ actor, ops }: Pick<Change, 'actor' | 'ops'>): void {
    if (this.slot === null || this.usedElsewhere) return;
    for (const { key } of ops) {
      if (!key.endsWith(BORN_END)) continue;
      const ino = Number(key.slice(0, -BORN_END.length));
      if (slotOf(ino) !== this.slot || !this.core.journal.sequences.isFresh(sequenceOf(ino))) continue;
      // A site that claimed it too may use it, until one of the two goes on in another.
      const site = this.valueOf(ACTOR_PREFIX + actor);
      const isRival = site !== this.siteId && this.claimants(this.slot).includes(site as SiteId);
      if (!isRival) this.usedElsewhere = true;
    }
  }

  private valueOf(field: string): unknown {
    return this.core.store.inode(VOLUME_INO)?.registers.get(field)?.[0]?.value;
  }

  private claimants(slot: number): SiteId[] {
    const entries = this.core.store.inode(VOLUME_INO)?.registers.get(SLOT_PREFIX + slot) ?? [];
    return entries.map(({ value }) => value as SiteId);
  }

  /** Goes on in a further slot where another site has this one, or somebody gave out numbers of it that this site has not. */
  settleSlot(): void {
    if (this.slot === null) return;
    const winner = this.valueOf(SLOT_PREFIX + this.slot);
    const isLost = winner !== undefined && winner !== this.siteId;
    if (!isLost && !this.usedElsewhere) return;
    const why = isLost
      ? 'another site claimed the same one while both were apart'
      : 'numbers of it were given out that this state knows nothing of: it went back, or another copy of it runs';
    this.usedElsewhere = false;
    this.claimed(this.claimSlot(), why);
  }

  /** Claims an inode slot for this site; `pick(n)` draws one of n at random. Returns the slot. */
  claimSlot(pick = this.pick): number {
    this.folding.fold(); // publishes, which asks for numbers
    const taken = this.takenSlots();
    const free: number[] = [];
    for (let slot = 1; slot <= MAX_SLOT; slot++) if (!taken.has(slot)) free.push(slot);
    if (free.length === 0) throw new Error(`all ${MAX_SLOT} sites of the volume are taken`);
    const slot = taken.size === 0 ? 1 : free[pick(free.length)]!;
    const writes: WriteDraft[] = [{ ino: VOLUME_INO, field: SLOT_PREFIX + slot, value: this.siteId }];
    if (this.valueOf(SITE_PREFIX + this.siteId) === undefined) {
      writes.unshift({ ino: VOLUME_INO, field: SITE_PREFIX + this.siteId, value: this.siteName });
    }
    this.core.commits.write([writes], this.core.clock.now(), []);
    this.core.journal.setMeta(SLOT_META, String(slot));
    this.core.journal.sequences.restart(1 + pick(FIRST_SPAN / STEP) * STEP);
    this.slot = slot;
    this.folding.fold();
    return slot;
  }

  private takenSlots(): Set<number> {
    const taken = new Set<number>();
    const fields = this.core.store.inode(VOLUME_INO)?.registers.keys() ?? [];
    for (const field of fields) if (field.startsWith(SLOT_PREFIX)) taken.add(Number(field.slice(SLOT_PREFIX.length)));
    return taken;
  }
}

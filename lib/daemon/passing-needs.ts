// passing-needs.ts — objects that are fetched though nobody waits for them here: what readers will soon want, and what a peer asked
// for that this site does not keep. Pure but for the clock that it is given.
// Invariant: bounded in number and time. What was sought in vain for a peer is not sought for one again for a while, or two sites that
// both lack it would ask each other for ever.

import type { ObjectId } from '../crdt/ids.js';
import type { SyncClock } from '../sync/ports.js';

const MAX_NEEDS = 16_384;
const LASTING_MS = 30_000;
/** Longer than a need lasts. */
const IN_VAIN_MS = 40_000;

export class PassingNeeds {
  /** When each expires, the oldest first. */
  private readonly needs = new Map<ObjectId, number>();
  /** Until when each is not sought for peers. */
  private readonly inVain = new Map<ObjectId, number>();

  constructor(private readonly clock: Pick<SyncClock, 'now'>) {}

  /** A reader here will soon want these. */
  ahead(ids: readonly ObjectId[]): void {
    for (const id of ids) this.add(id);
  }

  /** A peer asked for it. Whether it is sought on its behalf now. */
  asked(id: ObjectId): boolean {
    this.expire();
    if (this.needs.has(id) || this.inVain.has(id)) return false;
    this.add(id);
    return true;
  }

  private add(id: ObjectId): void {
    this.needs.delete(id);
    this.needs.set(id, this.clock.now() + LASTING_MS);
    if (this.needs.size > MAX_NEEDS) this.needs.delete(this.needs.keys().next().value!);
  }

  /** What is sought, the oldest first. */
  current(): Iterable<ObjectId> {
    this.expire();
    return this.needs.keys();
  }

  /** These are held now. */
  arrived(ids: readonly ObjectId[]): void {
    for (const id of ids) this.needs.delete(id);
  }

  /** No linked peer has these. */
  absentEverywhere(ids: readonly ObjectId[]): void {
    for (const id of ids) if (this.needs.delete(id)) this.giveUp(id);
  }

  private giveUp(id: ObjectId): void {
    this.inVain.set(id, this.clock.now() + IN_VAIN_MS);
    if (this.inVain.size > MAX_NEEDS) this.inVain.delete(this.inVain.keys().next().value!);
  }

  private expire(): void {
    const now = this.clock.now();
    for (const [id, untilMs] of this.needs) {
      if (untilMs > now) break;
      this.needs.delete(id);
      this.giveUp(id);
    }
    for (const [id, untilMs] of this.inVain) {
      if (untilMs > now) break;
      this.inVain.delete(id);
    }
  }
}

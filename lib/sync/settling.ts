// settling.ts — whether what this site and its peers had at one moment has become durable at both ends of every link, objects included.
// Invariant: what came later is not waited for, or a volume that somebody always writes to would never be settled. Pure.

import type { VersionVector } from '../crdt/change.js';
import type { Connection } from './connection.js';
import { covers } from './version-vector.js';

export class Settling {
  /** What each peer had, by connection: as acknowledged in answer to a barrier, and so at that moment or later. */
  private readonly theirs = new Map<number, VersionVector>();

  /** @param ours what this site had, durably */
  constructor(private readonly ours: VersionVector) {}

  /** @param whole what this site had when it last missed nothing */
  isDone(connections: readonly Connection[], whole: VersionVector): boolean {
    return connections.every(({ key, session }) => {
      if (!session.ready || session.barrierPending) return false;
      let theirs = this.theirs.get(key);
      if (!theirs) this.theirs.set(key, (theirs = new Map(session.acknowledged)));
      return covers(session.whole, this.ours) && covers(whole, theirs);
    });
  }
}

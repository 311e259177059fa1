// quarantine.ts — changes of other sites that are taken nowhere: what is wrong with each, and who sent it.
// Invariant: nothing of such a change is kept but its hash, and that of what was built on it, so many and no more; it is looked at again
// when it comes again. What does not build on it is taken as ever, from the same sender too.

import type { Change } from '../crdt/change.js';
import type { SiteId } from '../crdt/ids.js';

/** Who sends ever more of them makes this site forget the first, and look at these again. */
const MAX_REMEMBERED = 65_536;

/** What one site sent. */
export interface Quarantined {
  readonly from: SiteId;
  /** Changes set aside since this site started, those that build on others not counted. */
  readonly changes: number;
  /** Of the last one: which it is, and what is wrong with it. */
  readonly last: string;
}

export class Quarantine {
  private readonly hashes = new Set<string>();
  private readonly senders = new Map<SiteId, Quarantined>();

  constructor(
    /** Told of each once. */
    private readonly report: (from: SiteId, change: string, reason: string) => void,
  ) {}

  /** By sender, as many as sites. */
  get all(): Quarantined[] {
    return [...this.senders.values()];
  }

  /** Sets a change aside. */
  add(change: Change, from: SiteId, reason: string): void {
    const isNew = !this.hashes.has(change.hash);
    this.remember(change);
    if (!isNew) return;
    const name = `${change.seq} of actor ${change.actor}`;
    const changes = (this.senders.get(from)?.changes ?? 0) + 1;
    this.senders.set(from, { from, changes, last: `change ${name}: ${reason}` });
    this.report(from, name, reason);
  }

  /** Whether a change builds on one that is set aside; then it is, too. */
  holdsBack(change: Change): boolean {
    if (this.hashes.size === 0 || !change.deps.some((dep) => this.hashes.has(dep))) return false;
    this.remember(change);
    return true;
  }

  /** It counts after all. */
  release(change: Change): void {
    this.hashes.delete(change.hash);
  }

  private remember({ hash }: Change): void {
    this.hashes.delete(hash);
    this.hashes.add(hash);
    if (this.hashes.size > MAX_REMEMBERED) this.hashes.delete(this.hashes.values().next().value!);
  }
}

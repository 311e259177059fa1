// acceptance.ts — which changes of a site count that was made read-only or retired: those up to where its sequences were closed, and
// those that another site built on before it knew.
// Invariant: sites that hold the same changes take the same ones. Nothing that was taken is ever given back; instead whoever took a
// change that is closed off, and is the only one to build on it, says so with a change of its own (`endorsementDue`), after which it
// counts everywhere. See "Closed sites" in MERGE.md.

import type { Change } from './change.js';
import type { ActorId, SiteId } from './ids.js';
import { VOLUME_INO } from './ids.js';
import type { Inode } from './inode.js';
import { membersOf } from './members.js';
import { ACTOR_PREFIX, ADDRESS_PREFIX, KEY_PREFIX, NAME_PREFIX, SITE_PREFIX, SLOT_PREFIX } from './volume-fields.js';
import type { Role } from './volume-fields.js';

/** What a change is, as far as this is concerned. */
export type Candidate = Pick<Change, 'hash' | 'actor' | 'seq' | 'deps' | 'ops'>;

export class Acceptance {
  /** Sites that may not write (any more). */
  private readonly closed = new Map<SiteId, Role>();

  constructor(private readonly volume: Inode | undefined) {
    for (const { siteId, role } of membersOf(volume)) if (role.kind !== 'read-write') this.closed.set(siteId, role);
  }

  /** Nobody is closed off: everything counts. */
  get takesAll(): boolean {
    return this.closed.size === 0;
  }

  /** Whether a change does not count by itself. */
  bars(change: Candidate): boolean {
    if (!this.isClosedOff(change)) return false;
    const site = this.siteOf(change);
    if (site === undefined || this.closed.get(site)!.kind === 'retired') return true;
    return !change.ops.every(({ key }) => isAboutItself(key, site, change.actor));
  }

  /** Whether it lies behind the place where its site's sequence was closed. */
  private isClosedOff(change: Candidate): boolean {
    if (this.takesAll) return false;
    const site = this.siteOf(change);
    if (site === undefined) return true; // whose sequence it is, is said by the first change of an actor
    const role = this.closed.get(site);
    return role !== undefined && change.seq > (role.cut.get(change.actor) ?? 0);
  }

  /** Of changes that wait, the barred ones that count because another site built on them. Hashes. */
  released(waiting: readonly Candidate[]): Set<string> {
    const released = new Set<string>();
    if (this.takesAll) return released;
    const byHash = new Map(waiting.map((change) => [change.hash, change]));
    const barred = new Set(waiting.filter((change) => this.bars(change)).map(({ hash }) => hash));
    if (barred.size === 0) return released;
    for (const builder of waiting) {
      if (barred.has(builder.hash)) continue;
      const site = this.siteOf(builder);
      const seen = new Set<string>();
      for (const todo = [...builder.deps]; todo.length > 0;) {
        const change = byHash.get(todo.pop()!);
        if (change === undefined || seen.has(change.hash)) continue;
        seen.add(change.hash);
        // A site that may say something of itself does not bring in its own refused changes with that.
        if (barred.has(change.hash) && this.siteOf(change) !== site) released.add(change.hash);
        todo.push(...change.deps);
      }
    }
    return released;
  }

  /**
   * Whether a site took something of another one that is closed off and that no change builds on.
   * @param heads the changes that nobody built on
   * @param mayWrite a site that may not endorses what others would refuse, and not what its like say of themselves: they would go on
   *   and on answering each other
   */
  endorsementDue(heads: readonly Candidate[], site: SiteId, mayWrite: boolean): boolean {
    return heads.some((head) => this.siteOf(head) !== site && (mayWrite ? this.isClosedOff(head) : this.bars(head)));
  }

  private siteOf({ actor, ops }: Candidate): SiteId | undefined {
    const field = ACTOR_PREFIX + actor;
    const known = this.volume?.registers.get(field)?.[0]?.value;
    return (known ?? ops.find(({ key }) => key === `${VOLUME_INO}.${field}`)?.value) as SiteId | undefined;
  }
}

/** What a site may write that may not write: its name, key, address, share of the inode numbers. */
function isAboutItself(key: string, site: SiteId, actor: ActorId): boolean {
  const own = [SITE_PREFIX + site, NAME_PREFIX + site, KEY_PREFIX + site, ADDRESS_PREFIX + site, ACTOR_PREFIX + actor];
  return own.some((field) => key === `${VOLUME_INO}.${field}`) || key.startsWith(`${VOLUME_INO}.${SLOT_PREFIX}`);
}

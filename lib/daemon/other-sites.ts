// other-sites.ts — what all other sites of the volume know, as far as content may be given up here for the sake of that.
// Invariant: of a site that was never heard of it is nothing; that one was retired is the one reason not to ask for it. What a site
// says counts once all of it is here too: what it wrote before it knew, on something older, is known here then.

import type { VersionVector } from '../crdt/change.js';
import type { SiteId } from '../crdt/ids.js';
import type { Member } from '../crdt/members.js';
import { commonVector } from '../journal/held-versions.js';
import type { Holding } from '../sync/member-vectors.js';
import { covers } from '../sync/version-vector.js';

/** A site that this one has met. */
export interface PeerNeeds {
  readonly siteId: SiteId;
  readonly site: string;
  /** What it acknowledged as durable. */
  readonly vector: VersionVector;
  /** Objects that it knows of and waits for. */
  readonly missingCount: number;
}

export interface OtherSitesOptions {
  readonly siteId: SiteId;
  /** What is durable here. */
  readonly vector: () => VersionVector;
  readonly met: () => readonly PeerNeeds[];
  readonly members: () => readonly Member[];
  /** What sites hold durably, as others told. */
  readonly holdings: () => readonly Holding[];
}

const NOTHING: VersionVector = new Map();

export class OtherSites {
  /** What a site had when it last waited for no object: whatever it shows since, it holds. */
  private readonly whole = new Map<SiteId, VersionVector>();
  /** The same once all of it was here, too. */
  private readonly settled = new Map<SiteId, VersionVector>();

  constructor(private readonly options: OtherSitesOptions) {}

  /**
   * What each of them knows of, and would not build on anything older. One that waits for objects may still be given older ones.
   * @returns null when there is no other site
   */
  acknowledged(): VersionVector | null {
    const others = this.all();
    if (others.length === 0) return null;
    for (const { siteId, vector, missingCount } of others) {
      // Of one that never rests it is what it had when this was asked last.
      this.settle(siteId);
      if (missingCount === 0) this.whole.set(siteId, new Map(vector));
      this.settle(siteId);
    }
    return commonVector(others.map(({ siteId }) => this.settled.get(siteId) ?? NOTHING));
  }

  /** Those for whose sake something may be kept: their names. */
  lagging(): string[] {
    const own = this.options.vector();
    return this.all()
      .filter(({ siteId }) => !covers(this.settled.get(siteId) ?? NOTHING, own))
      .map(({ site }) => site);
  }

  /** Those that were met, and the members of whom others told, or nobody did: what they wait for they ask of those that they are linked to. */
  private all(): PeerNeeds[] {
    const { siteId: self, met, members, holdings } = this.options;
    const all = new Map(met().map((peer) => [peer.siteId, peer]));
    const held = new Map(holdings().map(({ siteId, vector }) => [siteId, vector]));
    for (const { siteId, name, role } of members()) {
      if (role.kind === 'retired') all.delete(siteId);
      else if (siteId !== self && !all.has(siteId))
        all.set(siteId, { siteId, site: name, vector: held.get(siteId) ?? NOTHING, missingCount: 0 });
    }
    return [...all.values()];
  }

  private settle(siteId: SiteId): void {
    const whole = this.whole.get(siteId);
    if (whole && covers(this.options.vector(), whole)) this.settled.set(siteId, whole);
  }
}

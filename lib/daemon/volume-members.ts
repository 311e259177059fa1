// volume-members.ts — the volume's sites as the links see them (lib/sync/admission.ts): what the site thread reported of the registers.
// Invariant: a site that joins trusts the one that invited it, whose key the invite named, until the registers say more.

import type { Member } from '../crdt/members.js';
import type { MemberStore } from '../sync/admission.js';
import type { DurableCommits } from './durable-commits.js';
import type { SiteRequests } from './site-sync-store.js';

export class VolumeMembers implements MemberStore {
  private members: readonly Member[];

  /** @param inviter null once this site is a member */
  constructor(
    private readonly site: () => SiteRequests,
    private readonly durable: DurableCommits,
    private readonly inviter: Member | null,
  ) {
    this.members = inviter ? [inviter] : [];
  }

  /** As the registers say now. */
  report(members: readonly Member[]): void {
    const { inviter } = this;
    const isKnown = !inviter || members.some(({ siteId, identity }) => siteId === inviter.siteId && identity !== null);
    this.members = isKnown ? members : [...members, inviter];
  }

  all(): readonly Member[] {
    return this.members;
  }

  async admit(site: { siteId: string; name: string; identity: string }): Promise<void> {
    const { commit } = await this.site().request('admitMember', site);
    await this.durable.reached(commit);
  }
}

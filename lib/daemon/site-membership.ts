// site-membership.ts — this site's place among the sites of the volume: how it comes to have one, what it says of itself, and what a
// person says here of the others. What the volume's registers say of members is lib/crdt/members.ts; who is let in, lib/sync/admission.ts.

import type { RoleKind } from '../crdt/volume-fields.js';
import { makeNextKey } from '../sync/site-key.js';
import type { Syncer } from '../sync/syncer.js';
import type { Progress, SiteConfig, SiteState } from './daemon-interface.js';
import type { DurableCommits } from './durable-commits.js';
import { fetchAll } from './first-fetch.js';
import { memberNamed } from './peer-rows.js';
import type { SiteRequests, SiteSyncStore } from './site-sync-store.js';
import { keepSiteKey, siteKey } from './site-key-file.js';
import type { VolumeMembers } from './volume-members.js';

/** A claim of inode numbers waits so long for the site that it joined at. */
const CLAIM_WAIT_MS = 60_000;

/** What of a running site it takes. */
export interface Running {
  readonly site: SiteRequests;
  readonly store: SiteSyncStore;
  readonly syncer: Syncer;
}

export class SiteMembership {
  /** @param running there once the site is; asked for with each call */
  constructor(
    private readonly state: SiteState,
    private readonly durable: DurableCommits,
    private readonly members: VolumeMembers,
    private readonly running: () => Running,
  ) {}

  /** First commits of a new volume: its root directory and this site. */
  async found(): Promise<void> {
    const { site, store } = this.running();
    const slot = await this.claimSlot();
    await site.request('createRoot', { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 });
    this.configure({ slot });
    await this.announce();
    await store.flush();
  }

  /** Fetches every change that the inviter has, then claims an inode slot. */
  async catchUp(progress: (progress: Progress) => void): Promise<void> {
    const { syncer } = this.running();
    await fetchAll(syncer, () => this.durable.vector, progress);
    this.configure({ slot: await this.claimSlot() });
    await this.announce();
    // The claim reaches the inviter before anything is made under it.
    await syncer.waitSettled(CLAIM_WAIT_MS);
  }

  /** Claims a further inode slot for a site that no longer knows which numbers of its old one it gave out. */
  async claimFurtherSlot(): Promise<void> {
    this.configure({ slot: await this.claimSlot() });
    await this.running().store.flush();
  }

  /** Tells the volume which key this site has, and where it listens. */
  async announce(): Promise<void> {
    const { site, syncer } = this.running();
    const { identity } = await siteKey(this.state.directory);
    await site.request('announce', { identity, addresses: syncer.addresses() });
  }

  async rename(name: string): Promise<void> {
    const { site, syncer } = this.running();
    const { commit } = await site.request('renameSite', { name });
    this.configure({ site: name });
    await this.durable.reached(commit);
    syncer.reconnect();
  }

  /** @returns the identity that the new key makes */
  async rotateKey(): Promise<string> {
    const { directory } = this.state;
    const key = await makeNextKey(await siteKey(directory));
    // The file first: should all end here, the next start says which key this site has.
    keepSiteKey(directory, key);
    await this.announce();
    const { store, syncer } = this.running();
    await store.flush();
    syncer.useKey(key);
    return key.identity;
  }

  /** `site`: its name or id. */
  async setRole(site: string, kind: RoleKind): Promise<void> {
    const { siteId } = memberNamed(this.members.all(), site);
    if (siteId === this.state.config().siteId) {
      throw new Error(
        `${site} is this site itself, and what it may do is for another one to say: give the command there`,
      );
    }
    const { commit } = await this.running().site.request('setRole', { siteId, kind });
    await this.durable.reached(commit);
  }

  private async claimSlot(): Promise<number> {
    const { slot } = await this.running().site.request('claimSlot', null);
    return slot;
  }

  private configure(change: Partial<SiteConfig>): void {
    this.state.saveConfig({ ...this.state.config(), ...change });
  }
}

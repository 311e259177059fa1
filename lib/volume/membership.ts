// membership.ts — the volume's own registers about its sites: who belongs to it, with which key, reachable where.
// Invariant: ordinary local operations on the volume's registers, which need nobody and merge. What follows from them for links is
// not decided here: lib/sync/admission.ts.

import type { SiteId } from '../crdt/ids.js';
import { VOLUME_INO } from '../crdt/ids.js';
import type { WriteDraft } from '../crdt/local-writes.js';
import { type Member, membersOf } from '../crdt/members.js';
import { ADDRESS_PREFIX, formatAddresses, KEY_PREFIX, SITE_PREFIX } from '../crdt/volume-fields.js';
import type { Core } from './core.js';
import type { Folding } from './folding.js';

export class Membership {
  /** Counts the writes to the volume's registers: the members are the same as long as it is. */
  version = 0;

  constructor(
    private readonly core: Core,
    private readonly folding: Folding,
    private readonly siteId: SiteId,
  ) {}

  all(): Member[] {
    return membersOf(this.core.store.inode(VOLUME_INO));
  }

  /**
   * Makes a key that of a site. Returns the number of the commit.
   * @throws Error when the key is another site's
   */
  admit(siteId: SiteId, name: string, identity: string): number {
    const members = this.all();
    const other = members.find((member) => member.identity === identity && member.siteId !== siteId);
    if (other) {
      throw new Error(
        `its key is that of site ${JSON.stringify(other.name)}: make a new one, in a state directory of its own`,
      );
    }
    const known = members.find((member) => member.siteId === siteId);
    const drafts: WriteDraft[] = [];
    if (known === undefined || known.name === '?') {
      drafts.push({ ino: VOLUME_INO, field: SITE_PREFIX + siteId, value: name });
    }
    if (known?.identity !== identity) drafts.push({ ino: VOLUME_INO, field: KEY_PREFIX + siteId, value: identity });
    return this.write(drafts);
  }

  /** Says which key this site has, and where it listens. Returns the number of the commit. */
  announce(identity: string, addresses: readonly string[]): number {
    const own = this.all().find(({ siteId }) => siteId === this.siteId);
    const drafts: WriteDraft[] = [];
    if (own?.identity !== identity) drafts.push({ ino: VOLUME_INO, field: KEY_PREFIX + this.siteId, value: identity });
    const value = formatAddresses(addresses);
    if (formatAddresses(own?.addresses ?? []) !== value) {
      drafts.push({ ino: VOLUME_INO, field: ADDRESS_PREFIX + this.siteId, value });
    }
    return this.write(drafts);
  }

  private write(drafts: readonly WriteDraft[]): number {
    if (drafts.length > 0) this.core.commits.write([drafts], this.core.clock.now(), []);
    return this.folding.fold();
  }
}

// membership.ts — the volume's own registers about its sites: who belongs to it, with which key, reachable where,
// and who may write.
// Invariant: ordinary local operations on the volume's registers, which need nobody and merge. What follows from them for links is
// not decided here: lib/sync/admission.ts.

import { Acceptance } from '../crdt/acceptance.js';
import type { ActorId, SiteId } from '../crdt/ids.js';
import { VOLUME_INO } from '../crdt/ids.js';
import type { WriteDraft } from '../crdt/local-writes.js';
import { type Member, membersOf } from '../crdt/members.js';
import {
  ACTOR_PREFIX,
  ADDRESS_PREFIX,
  formatAddresses,
  formatRole,
  KEY_PREFIX,
  NAME_PREFIX,
  ROLE_PREFIX,
  SITE_PREFIX,
} from '../crdt/volume-fields.js';
import type { RoleKind } from '../crdt/volume-fields.js';
import { MAX_OP } from '../journal/change-format.js';
import type { Core } from './core.js';
import type { Folding } from './folding.js';

const SPARE_OPS = 2 ** 24;

export class Membership {
  /** Counts the writes to the volume's registers: the members are the same as long as it is. */
  version = 0;
  private evaluated = -1;
  private current = new Acceptance(undefined);
  private writable = true;

  constructor(
    private readonly core: Core,
    private readonly folding: Folding,
    private readonly siteId: SiteId,
    private readonly siteName: string,
  ) {}

  /** Which changes count. */
  get acceptance(): Acceptance {
    this.evaluate();
    return this.current;
  }

  /** Whether what this site writes counts elsewhere. */
  get mayWrite(): boolean {
    this.evaluate();
    return this.writable;
  }

  /**
   * Whether the document has numbers left for operations: there are 2^32 for the life of a volume. Some are spared, for what sites say of
   * themselves when they start.
   */
  get hasNumbers(): boolean {
    return this.core.journal.maxOp < MAX_OP - SPARE_OPS;
  }

  /** @throws Error with the remedy where {@link mayWrite} or {@link hasNumbers} is false */
  checkWritable(): void {
    if (!this.hasNumbers)
      throw new Error(
        'the volume has no numbers for operations left, and can only be read: copy it into a new one (weft create)',
      );
    if (this.mayWrite) return;
    const { kind } = this.all().find(({ siteId }) => siteId === this.siteId)!.role;
    throw new Error(
      `site ${this.siteName} is ${kind}: do it at another site, or have it made read-write there (weft role)`,
    );
  }

  private evaluate(): void {
    if (this.evaluated === this.version) return;
    this.evaluated = this.version;
    this.current = new Acceptance(this.core.store.inode(VOLUME_INO));
    const own = this.all().find(({ siteId }) => siteId === this.siteId);
    this.writable = own === undefined || own.role.kind === 'read-write';
  }

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
    if (known?.role.kind === 'retired') {
      throw new Error(
        `site ${JSON.stringify(known.name)} was retired: join with a new state directory, or take that back (weft role)`,
      );
    }
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
    this.endorse(false);
    return this.write(drafts);
  }

  /**
   * Gives this site another name. Returns the number of the commit.
   * @throws Error when another site has it
   */
  rename(name: string): number {
    const other = this.all().find((member) => member.name === name && member.siteId !== this.siteId);
    if (other && other.role.kind !== 'retired') {
      throw new Error(`site ${other.siteId} is called ${JSON.stringify(name)}: choose another name`);
    }
    return this.write([{ ino: VOLUME_INO, field: NAME_PREFIX + this.siteId, value: name }]);
  }

  /**
   * From now on a site may do this and no more. What is here of its changes counts, and what others built on before they knew.
   * Returns the number of the commit.
   */
  setRole(siteId: SiteId, kind: RoleKind): number {
    this.folding.fold();
    const cut = new Map<ActorId, number>();
    const { registers } = this.core.store.inode(VOLUME_INO)!;
    for (const [actor, seq] of this.core.journal.vector()) {
      if (registers.get(ACTOR_PREFIX + actor)?.[0]?.value === siteId) cut.set(actor, seq);
    }
    return this.write([{ ino: VOLUME_INO, field: ROLE_PREFIX + siteId, value: formatRole({ kind, cut }) }]);
  }

  /**
   * Says with a change of this site that it built on what it took, where others might not take it by itself: then it counts.
   * @param rolesChanged whether it took a change of roles: who gave it may be closed off elsewhere
   */
  endorse(rolesChanged: boolean): void {
    const { acceptance } = this;
    if (acceptance.takesAll && !rolesChanged) return;
    const isDue = (): boolean => acceptance.endorsementDue(this.core.journal.headChanges(), this.siteId, this.mayWrite);
    if (!rolesChanged && !isDue()) return;
    // Said again as it is: copies are called after it.
    const value =
      this.core.store.inode(VOLUME_INO)?.registers.get(SITE_PREFIX + this.siteId)?.[0]?.value ?? this.siteName;
    const draft = { ino: VOLUME_INO, field: SITE_PREFIX + this.siteId, value };
    this.core.commits.write([[draft]], this.core.clock.now(), []);
  }

  private write(drafts: readonly WriteDraft[]): number {
    if (drafts.length > 0) this.core.commits.write([drafts], this.core.clock.now(), []);
    return this.folding.fold();
  }
}

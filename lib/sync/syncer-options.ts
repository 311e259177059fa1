// syncer-options.ts — what a Syncer is made of: its ports, its keys, its addresses.

import type { MemberStore } from './admission.js';
import type { Holding } from './member-vectors.js';
import { isWireName } from './wire-text.js';
import type { KnownPeer } from './peer.js';
import type { InviteStore, SyncClock, SyncLog, SyncRandom, SyncStore } from './ports.js';
import type { SiteKey } from './site-key.js';
import type { TransferLimits } from './transfer-limits.js';

const VOLUME_ID = /^[A-Za-z0-9_-]{1,64}$/;

export interface SyncerOptions {
  readonly store: SyncStore;
  readonly clock: SyncClock;
  readonly random: SyncRandom;
  readonly log: SyncLog;
  readonly invites: InviteStore;
  readonly key: SiteKey;
  readonly members: MemberStore;
  readonly volumeName: string;
  /** HOST:PORT; port 0: a free one. */
  readonly listen: string;
  /** HOST:PORT that others are told, when it is not the one listened on. */
  readonly advertise?: string;
  /** HOST:PORT of the peers to dial. */
  readonly dial: readonly string[];
  /** How fast content may go now; asked every second, and after {@link Syncer.limitsChanged}. */
  readonly limits?: () => TransferLimits;
  /** Peers met before, as known() gave them: shown again, kept paused, and dialled once, since usually it may be they who dial. */
  readonly known?: readonly KnownPeer[];
  /** What sites of the volume hold, as holdings() gave it. */
  readonly holdings?: readonly Holding[];
}

/** Throws on what no peer would accept. */
export function checkOptions({ store }: SyncerOptions): void {
  const { volumeId, siteName } = store;
  if (!VOLUME_ID.test(volumeId))
    throw new RangeError(`volume id ${JSON.stringify(volumeId)} is not 1 … 64 of [A-Za-z0-9_-]`);
  if (!isWireName(siteName)) {
    throw new Error(
      `${JSON.stringify(siteName)} cannot be a site's name: use 1 to 255 bytes without control characters`,
    );
  }
}

// syncer-options.ts — what a Syncer is made of: its ports, its keys, its addresses.

import { isWireName } from './message.js';
import type { KnownPeer } from './peer.js';
import type { InviteStore, SyncClock, SyncLog, SyncRandom, SyncStore } from './ports.js';
import { VOLUME_ID } from './tls-psk.js';

export interface SyncerOptions {
  readonly store: SyncStore;
  readonly clock: SyncClock;
  readonly random: SyncRandom;
  readonly log: SyncLog;
  readonly invites: InviteStore;
  /** 32 bytes shared by all sites of the volume. */
  readonly volumeKey: Uint8Array;
  readonly volumeName: string;
  /** HOST:PORT; port 0: a free one. */
  readonly listen: string;
  /** HOST:PORT that others are told, when it is not the one listened on. */
  readonly advertise?: string;
  /** HOST:PORT of the peers to dial. */
  readonly dial: readonly string[];
  /** Peers met before, as known() gave them: shown again, kept paused, and dialled once, since usually it may be they who dial. */
  readonly known?: readonly KnownPeer[];
}

/** Throws on what no peer would accept. */
export function checkOptions({ store, volumeKey }: SyncerOptions): void {
  const { volumeId, siteName } = store;
  if (volumeKey.length !== 32) throw new RangeError(`a volume key has 32 bytes, not ${volumeKey.length}`);
  if (!VOLUME_ID.test(volumeId))
    throw new RangeError(`volume id ${JSON.stringify(volumeId)} is not 1 … 64 of [A-Za-z0-9_-]`);
  if (!isWireName(siteName)) {
    throw new Error(
      `${JSON.stringify(siteName)} cannot be a site's name: use 1 to 255 bytes without control characters`,
    );
  }
}

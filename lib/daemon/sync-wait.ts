// sync-wait.ts — what `weft sync --wait` waits for: that what was written here is a version, and that all linked sites have what the others do.
// Invariant: a file that cannot become a version, for want of bytes that linked sites may send or of room, is waited for; with no link it
// would be for ever.

import { setTimeout } from 'node:timers/promises';
import { systemClock } from '../sync/system-clock.js';
import type { Syncer } from '../sync/syncer.js';
import type { SiteSyncStore } from './site-sync-store.js';

/** How often it is looked whether a written file could become a version after all. */
const UNPACKED_POLL_MS = 200;

/** Whether it came to that in time. */
export async function waitInSync(syncer: Syncer, store: SiteSyncStore, timeoutMs: number): Promise<boolean> {
  const deadlineMs = systemClock.now() + timeoutMs;
  for (;;) {
    const settled = await syncer.waitSettled(deadlineMs - systemClock.now());
    // What came meanwhile is in the kernel's view only once its caches forgot the old.
    const unpacked = await store.flushWritten();
    const isLinked = syncer.peers().some(({ state }) => state === 'connected');
    if (!settled || unpacked === 0 || !isLinked) return settled;
    await setTimeout(UNPACKED_POLL_MS);
  }
}

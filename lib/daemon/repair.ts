// repair.ts — `weft fsck --repair` of a mounted site: what a check found damaged is given up, and had again from linked sites.
// Invariant: it answers with what is still not here; nothing is given up that the site thread, looking again, finds sound. What no site
// sends stays missing, and is fetched whenever one comes that has it.

import type { VersionVector } from '../crdt/change.js';
import type { Syncer } from '../sync/syncer.js';
import type { DamagedData } from './daemon-interface.js';
import type { SiteRequests, SiteSyncStore } from './site-sync-store.js';

/** What is damaged is waited for so long, as long as a site is linked that may have it … */
const WAIT_MS = 60_000;
/** … and when none is, this long for one to connect. */
const UNLINKED_WAIT_MS = 2_000;
const POLL_MS = 100;

/**
 * @param vector what is durable here
 * @returns what could not be had again
 */
export async function repair(
  { objects, changes }: DamagedData,
  site: SiteRequests,
  syncer: Syncer,
  store: SiteSyncStore,
  vector: () => VersionVector,
): Promise<DamagedData> {
  await site.request('verify', { ids: objects });
  const { damaged } = await site.request('verifyChanges', { changes });
  await site.request('fold', null);
  // What a site holds is said when it connects.
  if (damaged > 0) syncer.reconnect();
  const left = (): DamagedData => ({
    objects: objects.filter((id) => !store.holds(id)),
    changes: changes.filter(({ actor, seq }) => (vector().get(actor) ?? 0) < seq),
  });
  for (let waitedMs = 0; waitedMs < WAIT_MS; waitedMs += POLL_MS) {
    const { objects: missing, changes: lost } = left();
    if (missing.length + lost.length === 0) break;
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    if (!syncer.linked && waitedMs >= UNLINKED_WAIT_MS) break;
  }
  return left();
}

// first-fetch.ts — a joining site's wait for every change that the site which invited it had when the two were linked.
// Invariant: it ends also when that site makes new changes faster than they come: those follow after the mount, like any. Or it ends with an
// Error that names the reason and the remedy, once nothing has come for a minute in which this site was not at work on what came before.

import type { VersionVector } from '../crdt/change.js';
import type { Syncer } from '../sync/syncer.js';
import type { Progress } from './daemon-interface.js';

const STALL_MS = 60_000;
const POLL_MS = 100;

/** @param vector what is durable here */
export async function fetchAll(
  syncer: Pick<Syncer, 'peers' | 'baseParts' | 'isTakingBase'>,
  vector: () => VersionVector,
  progress: (progress: Progress) => void,
): Promise<void> {
  let held = -1;
  /** So many changes there are with those that the peer had at first: they come in the order in which it got them. */
  let wanted: number | null = null;
  let stalledSince = performance.now();
  for (;;) {
    const peers = syncer.peers();
    const connected = peers.filter((peer) => peer.state === 'connected');
    const behind = Math.max(0, ...connected.map((peer) => peer.behindCommits));
    const have = [...vector().values()].reduce((sum, seq) => sum + seq, 0);
    if (connected.length > 0) {
      wanted ??= have + behind;
      progress({ what: 'changes', done: Math.min(have, wanted), total: wanted });
      if (have >= wanted && have > 0) return;
    }
    const came = have + syncer.baseParts;
    if (came !== held || syncer.isTakingBase) stalledSince = performance.now();
    held = came;
    if (performance.now() - stalledSince > STALL_MS) {
      const reason = peers.find((peer) => peer.lastError)?.lastError ?? 'the inviting site sends nothing';
      throw new Error(
        `the tree could not be fetched: ${reason}; check that the inviting site runs, and join with a new invite`,
      );
    }
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

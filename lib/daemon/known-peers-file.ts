// known-peers-file.ts — the peers that this site has met, in its state directory's peers.json: so that `weft status` can say after a
// restart what each of them lacks, and a paused link stays paused.

import { z } from 'zod';
import type { KnownPeer } from '../sync/peer.js';
import { HEX_ID, type SiteVectorsFormat, VECTOR } from './site-vectors-file.js';

export const KNOWN_PEERS_FILE: SiteVectorsFormat<KnownPeer> = {
  name: 'peers.json',
  entries: z.array(
    z.strictObject({
      siteId: HEX_ID,
      site: z.string().min(1),
      address: z.string().nullable(),
      paused: z.boolean(),
      lastSeenMs: z.exactOptional(z.number()),
      vector: VECTOR,
    }),
  ),
  what: 'what was known of the peers',
};

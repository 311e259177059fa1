// holdings-file.ts — what the sites of the volume are known to hold, in the state directory's holdings.json: so that a restart does not
// have to hear of each of them again before the journal may be cut off.

import { z } from 'zod';
import type { Holding } from '../sync/member-vectors.js';
import { HEX_ID, type SiteVectorsFormat, VECTOR } from './site-vectors-file.js';

export const HOLDINGS_FILE: SiteVectorsFormat<Holding> = {
  name: 'holdings.json',
  entries: z.array(z.strictObject({ siteId: HEX_ID, seenMs: z.int().nonnegative(), vector: VECTOR })),
  what: 'what other sites hold',
};

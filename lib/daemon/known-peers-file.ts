// known-peers-file.ts — the peers that this site has met, in its state directory's peers.json: so that `weft status` can say after a
// restart what each of them lacks, and a paused link stays paused. Losing it loses nothing else: a damaged file is started anew.

import { join } from 'node:path';
import { z } from 'zod';
import type { KnownPeer } from '../sync/peer.js';
import type { Log } from './daemon-interface.js';
import { replaceFile } from './durable-file.js';
import { readStored } from './stored-json.js';

export const KNOWN_PEERS_FILE = 'peers.json';
const HEX_ID = z.string().regex(/^[0-9a-f]{32}$/);

const stored = z.array(
  z.strictObject({
    siteId: HEX_ID,
    site: z.string().min(1),
    address: z.string().nullable(),
    paused: z.boolean(),
    lastSeenMs: z.exactOptional(z.number()),
    vector: z.array(z.tuple([HEX_ID, z.int().positive()])),
  }),
);

export class KnownPeersFile {
  private readonly path: string;
  private written = '';

  constructor(
    stateDirectory: string,
    private readonly log: Log,
  ) {
    this.path = join(stateDirectory, KNOWN_PEERS_FILE);
  }

  load(): KnownPeer[] {
    const peers = readStored(this.path, stored, (error) => {
      this.log.warn({ err: error, path: this.path }, 'what was known of the peers is damaged and learnt anew');
      return [];
    });
    return (peers ?? []).map((peer) => ({ ...peer, vector: new Map(peer.vector) }));
  }

  save(peers: readonly KnownPeer[]): void {
    const text = `${JSON.stringify(peers.map((peer) => ({ ...peer, vector: [...peer.vector] })))}\n`;
    if (text === this.written) return;
    this.written = text;
    replaceFile(this.path, text, 0o600);
  }
}

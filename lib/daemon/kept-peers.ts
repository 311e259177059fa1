// kept-peers.ts — what people said of links, and what was learnt of peers, kept for the next start: who is dialled in site.json, who is
// known and paused in peers.json, what sites hold in holdings.json.
// Invariant: what a person said is kept when the call returns; what the links say is kept a moment later, once for many of them,
// because they say something with every commit.

import type { Log } from './daemon-interface.js';
import { isNoRoom } from '../errno.js';
import { isInvite } from '../sync/invite.js';
import type { Holding } from '../sync/member-vectors.js';
import type { KnownPeer } from '../sync/peer.js';
import type { Syncer } from '../sync/syncer.js';
import type { SiteState } from './daemon-interface.js';
import type { SiteVectorsFile } from './site-vectors-file.js';

const KEEP_DELAY_MS = 500;

export class KeptPeers {
  private keeping: NodeJS.Timeout | null = null;

  constructor(
    private readonly syncer: Syncer,
    private readonly file: SiteVectorsFile<KnownPeer>,
    private readonly holdings: SiteVectorsFile<Holding>,
    private readonly state: SiteState,
    private readonly log: Log,
  ) {}

  /** `peer`: null: all. */
  pause(peer: string | null): void {
    this.syncer.pause(peer);
    this.keep();
  }

  resume(peer: string | null): void {
    this.syncer.resume(peer);
    this.keep();
  }

  /** Dials a further peer: HOST:PORT, a site's name, or an invite of one that does not know this site yet. */
  async add(peer: string): Promise<void> {
    if (isInvite(peer)) await this.syncer.introduce(peer);
    else this.syncer.add(peer);
    this.keep();
  }

  remove(peer: string): void {
    this.syncer.remove(peer);
    this.keep();
  }

  keepSoon(): void {
    this.keeping ??= setTimeout(() => {
      this.keeping = null;
      this.keepIfRoom();
    }, KEEP_DELAY_MS).unref();
  }

  /** What the links said is learnt again: a full disk is no reason to end. */
  keepIfRoom(): void {
    try {
      this.keep();
    } catch (error) {
      if (!isNoRoom(error)) throw error;
      this.log.warn({ err: error }, 'what is known of other sites could not be kept; it is tried again');
    }
  }

  keep(): void {
    this.file.save(this.syncer.known());
    this.holdings.save(this.syncer.holdings());
    const dialled = this.syncer.dialled();
    const config = this.state.config();
    if (dialled.join() !== config.peers.join()) this.state.saveConfig({ ...config, peers: dialled });
  }
}

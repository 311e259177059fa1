// met-peers.ts — the sites that a simulated one has met, and what they acknowledged last: as lib/sync/roster.ts has them, over all lives.

import type { Connection, Ending } from '../sync/connection.js';
import type { Hello } from '../sync/message.js';
import { Peer } from '../sync/peer.js';
import type { SiteId } from '../crdt/ids.js';

export class MetPeers {
  private readonly peers = new Map<SiteId, Peer>();

  all(): Peer[] {
    return [...this.peers.values()];
  }

  meet(hello: Hello): void {
    let peer = this.peers.get(hello.siteId);
    if (!peer) this.peers.set(hello.siteId, (peer = new Peer(hello.siteId, hello.site)));
    peer.meet(hello);
  }

  linked(connection: Connection): void {
    const peer = this.peers.get(connection.peer.siteId);
    peer?.linked(connection);
    peer?.confirmed();
  }

  unlinked(connection: Connection, ending: Ending, nowMs: number): void {
    for (const peer of this.peers.values())
      if (peer.connection === connection) peer.unlinked(connection, ending, nowMs);
  }

  /** The process died: the next one knows what was written down. */
  startAnew(): void {
    for (const [siteId, peer] of this.peers) this.peers.set(siteId, Peer.from(peer.known()));
  }
}

// roster.ts — the peers that this site has met and the addresses that it dials: who is meant by a name, who may be linked, what to show.
// Invariant: one Peer per site id, whatever address or direction it is reached by. An address whose site is not known yet stands alone.

import type { DialTarget } from './dial-target.js';
import { MAX_INTRODUCED } from './message.js';
import type { Hello, Introduction } from './message.js';
import { Peer } from './peer.js';
import type { SyncStore } from './ports.js';
import { lackingCount } from './version-vector.js';
import type { SiteId } from '../crdt/ids.js';

export type PeerState = 'connected' | 'paused' | 'unreachable';

/** What `weft status` shows of a peer. */
export interface PeerStatus {
  /** The site's name; its address until it was met. */
  readonly site: string;
  readonly siteId: SiteId | null;
  /** HOST:PORT that it listens on, or that is dialled. */
  readonly address: string | null;
  readonly state: PeerState;
  /** Commits that the peer has and this site lacks, as far as known; and the reverse. */
  readonly behindCommits: number;
  readonly aheadCommits: number;
  readonly aheadBytes: number;
  /** Objects that the peer is waiting for. */
  readonly missingObjects: number;
  /** File content, over the last seconds. */
  readonly receivingBytesPerS: number;
  readonly sendingBytesPerS: number;
  /** Whether it keeps all content, as it said last; null: not known. */
  readonly keepsAll: boolean | null;
  readonly lastError: string | null;
  readonly rttMs: number | null;
  /** Milliseconds since 1970 at which it was last linked; null: it is now, or never was. */
  readonly lastSeenMs: number | null;
}

/** Sites heard of and never met: enough for any team, and no more than a hostile peer may make this site remember. */
const MAX_HEARD_OF = 1024;

export class Roster {
  readonly peers = new Map<SiteId, Peer>();
  targets: DialTarget[] = [];
  allPaused = false;
  private readonly heardOf = new Map<SiteId, Introduction>();

  constructor(private readonly store: SyncStore) {}

  /** The peer that says this hello. */
  meet(hello: Hello): Peer {
    let peer = this.peers.get(hello.siteId);
    if (!peer) this.peers.set(hello.siteId, (peer = new Peer(hello.siteId, hello.site)));
    peer.meet(hello);
    for (const introduction of hello.introductions) {
      if (this.heardOf.size < MAX_HEARD_OF) this.heardOf.set(introduction.siteId, introduction);
    }
    return peer;
  }

  peerAt(target: DialTarget): Peer | undefined {
    return target.siteId === null ? undefined : this.peers.get(target.siteId);
  }

  siteListeningAt(address: string): SiteId | null {
    for (const peer of this.peers.values()) if (peer.address === address) return peer.siteId;
    return null;
  }

  targetsOf(peer: Peer): DialTarget[] {
    return this.targets.filter((target) => target.siteId === peer.siteId);
  }

  isPaused(entry: Peer | DialTarget): boolean {
    return this.allPaused || entry.paused;
  }

  /** Whether a link from dialling this address is wanted now. */
  mayDial(target: DialTarget): boolean {
    const peer = this.peerAt(target);
    return !this.isPaused(target) && (peer === undefined || (!this.isPaused(peer) && peer.connection === null));
  }

  /** The peer, or the address of an unmet one, that a user means by a site name, a site id or an address. Throws if none or several. */
  find(text: string): Peer | DialTarget {
    const peers = [...this.peers.values()];
    const named = peers.filter(({ site, siteId }) => site === text || siteId === text);
    if (named.length > 1) {
      const ids = named.map(({ siteId }) => siteId).join(', ');
      throw new Error(`several peers are called ${JSON.stringify(text)}; name one by its site id: ${ids}`);
    }
    const target = this.targets.find((other) => other.address === text);
    const found =
      named[0] ?? (target && this.peerAt(target)) ?? target ?? peers.find(({ address }) => address === text);
    if (found) return found;
    const known = [...peers.map(({ site }) => site), ...this.unmet().map(({ address }) => address)].toSorted();
    const remedy = known.length > 0 ? `known are: ${known.join(', ')}` : 'none is known yet';
    throw new Error(`no peer is called ${JSON.stringify(text)}; ${remedy}`);
  }

  /** The HOST:PORT that a user means: an address as it is, or that of a site that was met or heard of. Throws for an unknown name. */
  addressMeant(text: string): string {
    const sites = [...this.introductions(), ...this.heardOf.values()];
    const found = sites.find(({ site, siteId }) => site === text || siteId === text);
    if (!found && !text.includes(':')) {
      const remedy = 'weft peers lists those that are known; of another write HOST:PORT, or an invite to it';
      throw new Error(`no site is called ${JSON.stringify(text)}: ${remedy}`);
    }
    return found?.address ?? text;
  }

  /** The peers that others may be told of. */
  introductions(): Introduction[] {
    const told: Introduction[] = [];
    for (const { siteId, site, address } of this.peers.values()) {
      if (address !== null && told.length < MAX_INTRODUCED) told.push({ siteId, site, address });
    }
    return told;
  }

  /** By site name. `rttOf`: round-trip time of a peer's link. */
  statuses(rttOf: (peer: Peer) => number | null): PeerStatus[] {
    const statuses = [
      ...[...this.peers.values()].map((peer) => this.statusOf(peer, rttOf(peer))),
      ...this.unmet().map((target) => this.statusOfUnmet(target)),
    ];
    return statuses.toSorted((a, b) => (a.site < b.site ? -1 : 1));
  }

  private unmet(): DialTarget[] {
    return this.targets.filter((target) => target.lasting && this.peerAt(target) === undefined);
  }

  private statusOf(peer: Peer, rttMs: number | null): PeerStatus {
    const vector = this.store.vector();
    const aheadCommits = lackingCount(peer.vector, vector);
    const paused = this.isPaused(peer) || peer.pausedByPeer;
    const failed = this.targetsOf(peer).find((target) => target.lastError !== null);
    return {
      site: peer.site,
      siteId: peer.siteId,
      address: peer.address ?? this.targetsOf(peer)[0]?.address ?? null,
      state: peer.isConnected ? 'connected' : paused ? 'paused' : 'unreachable',
      behindCommits: lackingCount(vector, peer.vector),
      aheadCommits,
      aheadBytes: aheadCommits === 0 ? 0 : this.store.bytesAfter(peer.vector),
      missingObjects: peer.missingCount,
      receivingBytesPerS: peer.receiving.bytesPerS,
      sendingBytesPerS: peer.sending.bytesPerS,
      keepsAll: peer.keepsAll,
      lastError: peer.isConnected ? null : (peer.lastError ?? failed?.lastError ?? null),
      rttMs,
      lastSeenMs: peer.isConnected ? null : peer.lastSeenMs,
    };
  }

  private statusOfUnmet(target: DialTarget): PeerStatus {
    return {
      site: target.address,
      siteId: null,
      address: target.address,
      state: this.isPaused(target) ? 'paused' : 'unreachable',
      behindCommits: 0,
      aheadCommits: 0,
      aheadBytes: 0,
      missingObjects: 0,
      receivingBytesPerS: 0,
      sendingBytesPerS: 0,
      keepsAll: null,
      lastError: target.lastError,
      rttMs: null,
      lastSeenMs: null,
    };
  }
}

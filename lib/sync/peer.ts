// peer.ts — what this site knows of another one, linked or not.

import type { Connection, Ending } from './connection.js';
import type { Hello } from './message.js';
import type { SiteId } from '../crdt/ids.js';
import type { VersionVector } from '../crdt/change.js';
import { TransferRate } from './transfer-rate.js';

/** What is worth keeping of a peer across restarts. */
export interface KnownPeer {
  readonly siteId: SiteId;
  readonly site: string;
  /** HOST:PORT where it listens, as it said itself; null when it did not. */
  readonly address: string | null;
  readonly paused: boolean;
  /** What it acknowledged as durable. */
  readonly vector: VersionVector;
  /** When it was last linked, milliseconds since 1970; absent: never, or now. */
  readonly lastSeenMs?: number | undefined;
}

export class Peer {
  site: string;
  address: string | null = null;
  /** By a user of this site; and of the peer, as it said. */
  /** Whether it keeps all content, as it said last; null: it was not linked since this site started. */
  keepsAll: boolean | null = null;
  paused = false;
  pausedByPeer = false;
  lastError: string | null = null;
  /** The link in use. */
  connection: Connection | null = null;
  /** When it was last linked, if it is not now; milliseconds since 1970. */
  lastSeenMs: number | null = null;
  readonly receiving = new TransferRate();
  readonly sending = new TransferRate();
  private lastVector: VersionVector = new Map();
  private lastMissingCount = 0;

  constructor(
    readonly siteId: SiteId,
    site: string,
  ) {
    this.site = site;
  }

  static from(known: KnownPeer): Peer {
    const peer = new Peer(known.siteId, known.site);
    peer.address = known.address;
    peer.paused = known.paused;
    peer.lastVector = known.vector;
    peer.lastSeenMs = known.lastSeenMs ?? null;
    return peer;
  }

  /** What it acknowledged as durable, now or when it was last linked. */
  get vector(): VersionVector {
    return this.connection?.session.acknowledged ?? this.lastVector;
  }

  get missingCount(): number {
    return this.connection?.session.missingAtPeer ?? this.lastMissingCount;
  }

  /** A second passed. */
  measure(nowMs: number): void {
    const session = this.connection?.session;
    this.receiving.sample(nowMs, session?.receivedBytes ?? 0);
    this.sending.sample(nowMs, session?.sentBytes ?? 0);
  }

  meet(hello: Hello): void {
    this.site = hello.site;
    this.keepsAll = hello.keepsAll;
    if (hello.address !== '') this.address = hello.address;
  }

  linked(connection: Connection): void {
    this.connection = connection;
  }

  /** The link is not only up: it is wanted by the peer. */
  confirmed(): void {
    this.pausedByPeer = false;
    this.lastError = null;
  }

  get isConnected(): boolean {
    return this.connection !== null && !this.pausedByPeer;
  }

  unlinked(connection: Connection, ending: Ending, nowMs: number): void {
    if (this.connection === connection) {
      this.lastVector = this.vector;
      this.lastMissingCount = this.missingCount;
      this.connection = null;
      this.lastSeenMs = nowMs;
    }
    if (ending.code === 'duplicate') return;
    this.pausedByPeer = ending.by === 'peer' && ending.code === 'paused';
    this.lastError = ending.reason;
  }

  known(): KnownPeer {
    const { siteId, site, address, paused, lastSeenMs } = this;
    const known = { siteId, site, address, paused, vector: new Map(this.vector) };
    return lastSeenMs === null ? known : { ...known, lastSeenMs };
  }
}

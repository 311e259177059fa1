// syncer.ts — this site's links: listens, dials, and keeps one connection per peer alive.

import type { EventEmitter } from 'node:events';
import type { SiteId } from '../crdt/ids.js';
import type { VersionVector } from '../crdt/change.js';
import type { InviteStore, SyncClock, SyncLog, SyncRandom, SyncStore } from './ports.js';

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
  readonly lastError: string | null;
  readonly rttMs: number | null;
}

/** What is worth keeping of a peer across restarts: {@link Syncer.known}. */
export interface KnownPeer {
  readonly siteId: SiteId;
  readonly site: string;
  /** HOST:PORT where it listens, as it said itself; null when it did not. */
  readonly address: string | null;
  readonly paused: boolean;
  /** What it acknowledged as durable. */
  readonly vector: VersionVector;
}

export interface SyncerOptions {
  readonly store: SyncStore;
  readonly clock: SyncClock;
  readonly random: SyncRandom;
  readonly log: SyncLog;
  readonly invites: InviteStore;
  /** 32 bytes shared by all sites of the volume. */
  readonly volumeKey: Uint8Array;
  readonly volumeName: string;
  /** HOST:PORT; port 0: a free one. */
  readonly listen: string;
  /** HOST:PORT that others are told, when it is not the one listened on. */
  readonly advertise?: string;
  /** HOST:PORT of the peers to dial. */
  readonly dial: readonly string[];
  /** Peers met before, as known() gave them. */
  readonly known?: readonly KnownPeer[];
}

/** Emits 'changed' (at most once per turn of the event loop) when peers() or settled() may answer otherwise than before. */
export declare class Syncer extends EventEmitter<{ changed: [] }> {
  constructor(options: SyncerOptions);
  /** Listens and starts to dial. Resolves to the HOST:PORT listened on; rejects, naming the remedy, when the port is in use. */
  start(): Promise<string>;
  /** Tells peers that this site goes and closes all links. */
  stop(): Promise<void>;
  /** The store's vector() or missing() changed. Cheap; call it at once. */
  advanced(): void;

  peers(): PeerStatus[];
  /** Whether every connected peer has durably what this site has, and the reverse. False while a first attempt to connect is under way. */
  settled(): boolean;
  /** Has every connected peer commit what it holds, then waits until settled(). False when `timeoutMs` passed first. */
  waitSettled(timeoutMs: number): Promise<boolean>;

  /** Cuts the link to a peer (site name, site id or address), or with null every link, and refuses it until resume. Throws on an unknown peer. */
  pause(peer: string | null): void;
  resume(peer: string | null): void;
  /** Dials a further peer, now and until removed: HOST:PORT, or the name of a site that a peer told of. */
  add(address: string): void;
  /** Cuts the link to a peer and forgets it; the peer stops dialling this site as well. */
  remove(peer: string): void;

  /** The addresses dialled: what SyncerOptions.dial should be at the next start. */
  dialled(): string[];
  /** What SyncerOptions.known should be at the next start. */
  known(): KnownPeer[];
  /** A one-time invite, `weft://HOST:PORT/VOLUME#ID.SECRET`. */
  invite(ttlMs: number): string;
}

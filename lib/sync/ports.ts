// ports.ts — what the links ask of the layers above them; the daemon implements these.
// Links never touch files, SQLite or the clock themselves. "Durable" means: survives power loss. Nothing leaves this site, and
// nothing is acknowledged to a peer, before it is durable here.

import type { Ino, ObjectId, SiteId } from '../crdt/ids.js';
import type { BaseOffer, BasePart } from '../journal/base-part.js';
import type { Dot, VersionVector } from '../crdt/change.js';

/** One change as it travels: its identity and its bytes. */
export interface ShippedChange extends Dot {
  readonly bytes: Uint8Array;
  /** Where those stand that it builds on, in the order of its own list: the receiver may have dropped them. */
  readonly deps: readonly Dot[];
}

/** One chunk or manifest as it travels. */
export interface ShippedObject {
  readonly id: ObjectId;
  /** One byte, opaque here: chunk or manifest. */
  readonly kind: number;
  readonly bytes: Uint8Array;
  /** To be called once nobody looks at the bytes any more, if they are in a buffer that is used again. */
  readonly release?: () => void;
}

/** This site's changes and objects. Whoever implements it calls `Syncer.advanced()` after vector() or missing() changed. */
export interface SyncStore {
  /** 1 … 64 of [A-Za-z0-9_-]. */
  readonly volumeId: string;
  readonly siteId: SiteId;
  readonly siteName: string;
  /** The inode slot that this site claimed; null until then. */
  slot(): number | null;
  /** What is durable here. May be a live view: it is read at once and not kept. */
  vector(): VersionVector;
  /**
   * Durable changes that `known` lacks, causally ordered and per actor without gaps from `known` on, up to `maxBytes` in all (at
   * least one if there is any). `done` when these are the last ones.
   */
  changesAfter(known: VersionVector, maxBytes: number): { changes: ShippedChange[]; done: boolean };
  /** The changes that are not in the journal here any more: whoever lacks one of them is sent the base. As vector(). */
  floor(): VersionVector;
  /** What those add up to; null: there are none. */
  baseOffer(): BaseOffer | null;
  /** A part of the base with this id, behind an inode; null: the base here is another one by now. */
  readBase(id: string, after: Ino, maxBytes: number): BasePart | null;
  /**
   * A peer offers its base. Resolves to the inode behind which it is to send; to null when nothing of it is lacking here. Rejects with
   * what is wrong with it.
   */
  takeOffer(offer: BaseOffer): Promise<Ino | null>;
  /**
   * Takes the next part. Resolves to the inode behind which the next one begins, when the part is durable; to null after the last
   * one, when vector() covers the base.
   */
  storeBase(part: BasePart, from: SiteId): Promise<Ino | null>;
  /** Bytes of the changes that `known` lacks, for the status display; need not be exact. */
  bytesAfter(known: VersionVector): number;
  /**
   * Takes a peer's changes, in the order of the calls. Changes already held are no error. Resolves when vector() covers them, and
   * missing() counts the objects that they name; rejects with an error that names a bad change, or says why this site cannot take
   * any (disk full). Each is a view on a larger buffer, which postMessage would copy whole: copy the bytes out first.
   */
  ingest(changes: readonly ShippedChange[], from: SiteId): Promise<void>;
  /** Objects that this site knows of, wants and does not hold: the `limit` most needed, in order of need. */
  missing(limit: number): readonly ObjectId[];
  missingCount(): number;
  /** Whether this site fetches and keeps everything, so that others may count on it. */
  keepsAll(): boolean;
  /** No linked peer holds these, as each of them said: they may be of old versions that were given up. */
  absentEverywhere(ids: readonly ObjectId[]): void;
  /**
   * Which of these objects this site holds durably and keeps, whoever gives them up: none unless keepsAll() holds when the promise
   * resolves.
   */
  kept(ids: readonly ObjectId[]): Promise<readonly ObjectId[]>;
  /** undefined: not held here. Rejects when it cannot be read. */
  readObject(id: ObjectId): Promise<Omit<ShippedObject, 'id'> | undefined>;
  /**
   * Verifies them against their ids and makes them durable; then missing() counts the objects that they name (a manifest's chunks).
   * Objects already held are no error. Views, as in ingest. `areShared`: they come from a site that keeps everything. Rejects with the reason: code ENOSPC or EDQUOT when there is no room
   * (fetching then rests a while), else an error that names the bad object, which ends the link.
   */
  storeObjects(objects: readonly ShippedObject[], areShared: boolean): Promise<void>;
  /** A site that keeps everything has all that these changes name. Read at once, not kept. */
  keptElsewhere(vector: VersionVector): void;
  /** Commits what callers of this site were told is done, and makes it durable: afterwards vector() covers it. */
  flush(): Promise<void>;
}

export interface SyncClock {
  /** Milliseconds, monotonic. */
  now(): number;
  /** Milliseconds since 1970, for the expiry of invites. */
  wallMs(): number;
  /** Calls `fire` once after `delayMs`; the result cancels it. A waiting timer must not keep the process alive. */
  setTimer(delayMs: number, fire: () => void): () => void;
}

export interface SyncRandom {
  /** Uniform in [0, 1). */
  jitter(): number;
  /** Unpredictable bytes. */
  bytes(length: number): Uint8Array;
}

export interface InviteRecord {
  /** Five random bytes in base32: see invite.ts. Public. */
  readonly id: string;
  /** Sixteen random bytes. */
  readonly secret: Uint8Array;
  /** Milliseconds since 1970. */
  readonly expiresAtMs: number;
  readonly used: boolean;
}

/** The invites that this site gave out, kept across restarts. Synchronous: TLS asks for the secret in the middle of a handshake. */
export interface InviteStore {
  /** Keeps a new invite durably. */
  create(invite: InviteRecord): void;
  /** Also one that is used or expired, as long as it is remembered, so that its bearer is told which of the two. */
  find(id: string): InviteRecord | undefined;
  /** Durably marks it used, before the volume's key is handed over. False: it was used already. */
  consume(id: string): boolean;
}

/** pino's shape. */
export interface SyncLog {
  debug(details: object, message: string): void;
  info(details: object, message: string): void;
  warn(details: object, message: string): void;
}

// message.ts — what two sites say to each other. Pure; its bytes are message-codec.ts's.

import type { Ino, ObjectId, SiteId } from '../crdt/ids.js';
import type { VersionVector } from '../crdt/change.js';
import type { BaseOffer, BasePart } from '../journal/base-part.js';
import type { Holding } from './member-vectors.js';
import type { ShippedChange, ShippedObject } from './ports.js';
import { CONTROL_CHARACTERS } from './wire-text.js';

/** Raised with every incompatible change of the messages below. */
export const PROTOCOL_VERSION = 4;
/** No message is larger; frame.ts cuts it to frames. */
export const MAX_MESSAGE_BYTES = 64 * 1024 * 1024;
/** Room left in a message for what surrounds its one large change or object. */
export const MAX_PAYLOAD_BYTES = MAX_MESSAGE_BYTES - 1024;
/** Object ids in one message. */
export const MAX_IDS = 1024;
/** Changes in one message, and actors in one vector: they bound what a message unfolds to in memory. */
export const MAX_CHANGES = 65_536;
export const MAX_ACTORS = 262_144;
/** Sites whose holdings one message tells: more than there are slots of inode numbers. */
export const MAX_HOLDINGS = 2 ** 14;
/** What a change builds on: the heads of a document that all sites of a volume write to. */
export const MAX_DEPS = 65_536;
/** Sites that a hello or a grant tells of. */
export const MAX_INTRODUCED = 64;

export const MAX_REASON_BYTES = 1024;
/** Of HMAC-SHA256. */
export const PROOF_BYTES = 32;
export const MAX_SLOT_VALUE = 2 ** 14 - 1;

/** Why a link ends. The order is the wire's: append only. */
export const GOODBYE_CODES = [
  'stopping', // the site is shut down
  'protocol', // the other side broke a rule of the protocol
  'version', // no common protocol version
  'volume', // another volume
  'same-site', // both ends say they are one and the same site
  'slot', // both ends claim one inode slot: not said any more
  'duplicate', // another connection between the two sites is kept
  'paused', // a user paused the link
  'removed', // a user removed the link
  'rejected', // a change or object could not be taken
  'invite-used',
  'invite-expired',
  'invite-wrong', // no such invite, or its secret was not proved
  'unknown-site', // the key at the other end is no member's
  'retired', // the site does not belong to the volume any more
  'renewed', // what the hello said holds no longer: the link begins anew
] as const;
export type GoodbyeCode = (typeof GOODBYE_CODES)[number];

/** A site that the sender has met. */
export interface Introduction {
  readonly siteId: SiteId;
  readonly site: string;
  /** HOST:PORT that it listens on. */
  readonly address: string;
}

export interface Hello {
  readonly type: 'hello';
  readonly version: number;
  readonly volumeId: string;
  readonly siteId: SiteId;
  /** 16 hex digits drawn at every start: tells a site from a copy of it. */
  readonly instance: string;
  readonly site: string;
  /** Inode slot claimed, 0 when none is. */
  readonly slot: number;
  /** HOST:PORT that the sender listens on; '' when none. */
  readonly address: string;
  /** What is durable at the sender. */
  readonly vector: VersionVector;
  readonly missingCount: number;
  /** It fetches and keeps all content, and gives up nothing that others may count on. */
  readonly keepsAll: boolean;
  readonly introductions: readonly Introduction[];
}

export type Message =
  | Hello
  /** A hello or join request of a protocol that this program does not speak; never sent. */
  | { readonly type: 'foreign-hello'; readonly version: number }
  | { readonly type: 'goodbye'; readonly code: GoodbyeCode; readonly reason: string }
  | { readonly type: 'changes'; readonly changes: readonly ShippedChange[] }
  /** What became durable at the sender since it last said so; objects that it reported absent and holds now. */
  | {
      readonly type: 'have';
      readonly vector: VersionVector;
      readonly missingCount: number;
      readonly arrived: readonly ObjectId[];
    }
  | { readonly type: 'want'; readonly ids: readonly ObjectId[] }
  | { readonly type: 'objects'; readonly objects: readonly ShippedObject[] }
  | { readonly type: 'absent'; readonly ids: readonly ObjectId[] }
  /** The receiver lacks changes that are in no journal any more: the sender has what they add up to. */
  | { readonly type: 'base-offer'; readonly offer: BaseOffer }
  /** Of the base with this id, the next part behind an inode; -1: the first. One is answered before the next is asked for. */
  | { readonly type: 'base-want'; readonly id: string; readonly after: Ino }
  | { readonly type: 'base-part'; readonly part: BasePart }
  /** What other sites hold durably, as far as the sender heard: what is new to the receiver. By site id. */
  | { readonly type: 'holdings'; readonly holdings: readonly Holding[] }
  /** The sender is about to give these up: which of them does the receiver keep? One is answered before the next is sent. */
  | { readonly type: 'ask-kept'; readonly ids: readonly ObjectId[] }
  /** Of those asked about, what the sender holds durably, and keeps whoever gives it up. */
  | { readonly type: 'kept'; readonly ids: readonly ObjectId[] }
  /** The receiver may send this much more: see credit.ts. */
  | { readonly type: 'credit'; readonly changeBytes: number; readonly objectBytes: number }
  /** Asks the receiver to commit and make durable what it holds; answered by `barrier-done` after the changes and haves due. */
  | { readonly type: 'barrier' }
  | { readonly type: 'barrier-done' }
  /** `volumeId`: the volume that the guest has already, '' when none. */
  | {
      readonly type: 'join-request';
      readonly version: number;
      readonly inviteId: string;
      /** See secure-channel.ts; 32 bytes. */
      readonly proof: Uint8Array;
      readonly siteId: SiteId;
      readonly site: string;
      readonly volumeId: string;
    }
  /** The first of the peers is the host. */
  | {
      readonly type: 'join-grant';
      readonly volumeId: string;
      readonly volumeName: string;
      readonly peers: readonly Introduction[];
    };

/** A goodbye that conforms, whatever went into its reason. */
export function goodbye(code: GoodbyeCode, reason: string): Message {
  let text = reason.replace(new RegExp(CONTROL_CHARACTERS, 'g'), ' ');
  while (Buffer.byteLength(text) > MAX_REASON_BYTES) text = text.slice(0, -1);
  return { type: 'goodbye', code, reason: text };
}

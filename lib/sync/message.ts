// message.ts — what two sites say to each other, and its bytes. Pure.
// A message is a type byte and its fields; decoding is strict: every length is checked against the input, sets are in ascending
// order without repetition, and nothing may follow the last field. What does not conform is a CorruptionError. Only the start of
// a hello (type, version) and the goodbye are fixed for all versions of the protocol, so that any two versions can part politely.

import { isUtf8 } from 'node:buffer';
import { isDialable } from './address.js';
import { ByteReader, ByteWriter, CorruptionError } from '../codec/bytes.js';
import type { ActorId, Ino, ObjectId, SiteId } from '../crdt/ids.js';
import type { Dot, VersionVector } from '../crdt/change.js';
import type { BaseActor, BaseOffer, BasePart } from '../journal/base-part.js';
import type { Holding } from './member-vectors.js';
import type { ShippedChange, ShippedObject } from './ports.js';

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
const MAX_DEPS = 65_536;
/** Sites that a hello or a grant tells of. */
export const MAX_INTRODUCED = 64;

const MAX_NAME_BYTES = 255;
const MAX_ADDRESS_BYTES = 300;
const MAX_REASON_BYTES = 1024;
/** Of HMAC-SHA256. */
export const PROOF_BYTES = 32;
const MAX_SLOT_VALUE = 2 ** 14 - 1;

/** Why a link ends. The order is the wire's: append only. */
const GOODBYE_CODES = [
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

const TYPE = {
  hello: 1,
  goodbye: 2,
  changes: 3,
  have: 4,
  want: 5,
  objects: 6,
  absent: 7,
  credit: 8,
  barrier: 9,
  'barrier-done': 10,
  'join-request': 11,
  'join-grant': 12,
  'ask-kept': 13,
  kept: 14,
  holdings: 15,
  'base-offer': 16,
  'base-want': 17,
  'base-part': 18,
} as const;

/** Appends the message's bytes. Throws RangeError on a field that no receiver would accept: our own bug. */
export function encodeMessage(out: ByteWriter, message: Message): void {
  if (message.type === 'foreign-hello') throw new RangeError('a foreign hello is never sent');
  out.u8(TYPE[message.type]);
  switch (message.type) {
    case 'hello':
      out.u16(message.version);
      putText(out, message.volumeId, MAX_NAME_BYTES);
      putHex(out, message.siteId, 16);
      putHex(out, message.instance, 8);
      putText(out, message.site, MAX_NAME_BYTES);
      out.u16(message.slot);
      putText(out, message.address, MAX_ADDRESS_BYTES);
      putVector(out, message.vector);
      out.varint(message.missingCount);
      out.u8(message.keepsAll ? 1 : 0);
      putIntroductions(out, message.introductions);
      return;
    case 'goodbye':
      out.u8(GOODBYE_CODES.indexOf(message.code));
      putText(out, message.reason, MAX_REASON_BYTES);
      return;
    case 'changes':
      putChanges(out, message.changes);
      return;
    case 'have':
      putVector(out, message.vector);
      out.varint(message.missingCount);
      putIds(out, message.arrived);
      return;
    case 'want':
    case 'absent':
    case 'ask-kept':
    case 'kept':
      putIds(out, message.ids);
      return;
    case 'objects':
      if (message.objects.length > MAX_IDS) throw new RangeError(`${message.objects.length} objects in one message`);
      out.varint(message.objects.length);
      for (const object of message.objects) {
        putHex(out, object.id, 32);
        out.u8(object.kind).bytes(object.bytes);
      }
      return;
    case 'base-offer':
      putOffer(out, message.offer);
      return;
    case 'base-want':
      putHex(out, message.id, 32);
      out.varint(message.after + 1);
      return;
    case 'base-part': {
      const { id, after, last, done, bytes } = message.part;
      putHex(out, id, 32);
      out
        .varint(after + 1)
        .varint(last + 1)
        .u8(done ? 1 : 0)
        .bytes(bytes);
      return;
    }
    case 'holdings':
      putHoldings(out, message.holdings);
      return;
    case 'credit':
      out.varint(message.changeBytes).varint(message.objectBytes);
      return;
    case 'barrier':
    case 'barrier-done':
      return;
    case 'join-request':
      out.u16(message.version);
      putText(out, message.inviteId, MAX_NAME_BYTES);
      out.raw(message.proof);
      putHex(out, message.siteId, 16);
      putText(out, message.site, MAX_NAME_BYTES);
      putText(out, message.volumeId, MAX_NAME_BYTES);
      return;
    case 'join-grant':
      putText(out, message.volumeId, MAX_NAME_BYTES);
      putText(out, message.volumeName, MAX_NAME_BYTES);
      putIntroductions(out, message.peers);
      return;
  }
}

/** Bytes in changes and objects are views on `bytes`. Throws CorruptionError. */
export function decodeMessage(bytes: Uint8Array): Message {
  if (bytes.length > MAX_MESSAGE_BYTES) throw new CorruptionError(`message of ${bytes.length} bytes`);
  const reader = new ByteReader(bytes);
  const message = readMessage(reader);
  if (message.type !== 'foreign-hello') reader.finish(message.type);
  return message;
}

function readMessage(reader: ByteReader): Message {
  const type = reader.u8('message type');
  switch (type) {
    case TYPE.hello:
      return readHello(reader);
    case TYPE.goodbye: {
      const code = GOODBYE_CODES[reader.u8('goodbye code')] ?? 'protocol';
      return { type: 'goodbye', code, reason: readText(reader, 'goodbye reason', MAX_REASON_BYTES) };
    }
    case TYPE.changes:
      return { type: 'changes', changes: readChanges(reader) };
    case TYPE.have:
      return {
        type: 'have',
        vector: readVector(reader),
        missingCount: reader.varint('missing count'),
        arrived: readIds(reader),
      };
    case TYPE.want:
      return { type: 'want', ids: readIds(reader) };
    case TYPE.objects:
      return { type: 'objects', objects: readObjects(reader) };
    case TYPE.absent:
      return { type: 'absent', ids: readIds(reader) };
    case TYPE['ask-kept']:
      return { type: 'ask-kept', ids: readIds(reader) };
    case TYPE.kept:
      return { type: 'kept', ids: readIds(reader) };
    case TYPE['base-offer']:
      return { type: 'base-offer', offer: readOffer(reader) };
    case TYPE['base-want']:
      return { type: 'base-want', id: readHex(reader, 'base id', 32), after: reader.varint('inode') - 1 };
    case TYPE['base-part']:
      return {
        type: 'base-part',
        part: {
          id: readHex(reader, 'base id', 32),
          after: reader.varint('inode') - 1,
          last: reader.varint('last inode') - 1,
          done: readFlag(reader, 'last part'),
          bytes: reader.bytes('part of a base'),
        },
      };
    case TYPE.holdings:
      return { type: 'holdings', holdings: readHoldings(reader) };
    case TYPE.credit:
      return {
        type: 'credit',
        changeBytes: reader.varint('change credit'),
        objectBytes: reader.varint('object credit'),
      };
    case TYPE.barrier:
      return { type: 'barrier' };
    case TYPE['barrier-done']:
      return { type: 'barrier-done' };
    case TYPE['join-request']:
      return readJoinRequest(reader);
    case TYPE['join-grant']:
      return {
        type: 'join-grant',
        volumeId: readText(reader, 'volume id', MAX_NAME_BYTES),
        volumeName: readText(reader, 'volume name', MAX_NAME_BYTES),
        peers: readIntroductions(reader),
      };
    default:
      throw new CorruptionError(`message type ${type} is not known`);
  }
}

function readJoinRequest(reader: ByteReader): Message {
  const version = reader.u16('protocol version');
  if (version !== PROTOCOL_VERSION) return { type: 'foreign-hello', version };
  return {
    type: 'join-request',
    version,
    inviteId: readText(reader, 'invite id', MAX_NAME_BYTES),
    proof: Uint8Array.from(reader.view(PROOF_BYTES, 'proof')),
    siteId: readHex(reader, 'site id', 16),
    site: readText(reader, 'site name', MAX_NAME_BYTES),
    volumeId: readText(reader, 'volume id', MAX_NAME_BYTES),
  };
}

function readHello(reader: ByteReader): Message {
  const version = reader.u16('protocol version');
  if (version !== PROTOCOL_VERSION) return { type: 'foreign-hello', version };
  const hello: Hello = {
    type: 'hello',
    version,
    volumeId: readText(reader, 'volume id', MAX_NAME_BYTES),
    siteId: readHex(reader, 'site id', 16),
    instance: readHex(reader, 'instance', 8),
    site: readText(reader, 'site name', MAX_NAME_BYTES),
    slot: reader.u16('slot'),
    address: readAddress(reader, 'listen address'),
    vector: readVector(reader),
    missingCount: reader.varint('missing count'),
    keepsAll: readFlag(reader, 'keeps all'),
    introductions: readIntroductions(reader),
  };
  if (hello.slot > MAX_SLOT_VALUE) throw new CorruptionError(`slot ${hello.slot} is above ${MAX_SLOT_VALUE}`);
  return hello;
}

/** Changes name their actor by its place in a list of the distinct ones, in order of first use. */
function putChanges(out: ByteWriter, changes: readonly ShippedChange[]): void {
  const places = new Map<ActorId, number>();
  for (const { actor, deps } of changes) {
    for (const of of [actor, ...deps.map((dot) => dot.actor)]) if (!places.has(of)) places.set(of, places.size);
  }
  out.varint(places.size);
  for (const actor of places.keys()) putHex(out, actor, 16);
  if (changes.length > MAX_CHANGES) throw new RangeError(`${changes.length} changes in one message`);
  out.varint(changes.length);
  for (const { actor, seq, bytes, deps } of changes) {
    out.varint(places.get(actor)!).varint(seq).bytes(bytes).varint(deps.length);
    for (const dot of deps) out.varint(places.get(dot.actor)!).varint(dot.seq);
  }
}

function readChanges(reader: ByteReader): ShippedChange[] {
  const actors: ActorId[] = [];
  for (let left = readCount(reader, 'actors', 16, MAX_CHANGES); left > 0; left--)
    actors.push(readHex(reader, 'actor', 16));
  const changes: ShippedChange[] = [];
  for (let left = readCount(reader, 'changes', 4, MAX_CHANGES); left > 0; left--) {
    const { actor, seq } = readDot(reader, actors);
    const bytes = reader.bytes('change');
    const deps: Dot[] = [];
    for (let more = readCount(reader, 'deps', 2, MAX_DEPS); more > 0; more--) deps.push(readDot(reader, actors));
    changes.push({ actor, seq, bytes, deps });
  }
  return changes;
}

function readDot(reader: ByteReader, actors: readonly ActorId[]): Dot {
  const place = reader.varint('actor of change');
  const actor = actors[place];
  if (actor === undefined) throw new CorruptionError(`change by actor ${place} of ${actors.length}`);
  const seq = reader.varint('seq of change');
  if (seq === 0) throw new CorruptionError(`change 0 of actor ${actor}`);
  return { actor, seq };
}

function putOffer(out: ByteWriter, { id, actors, heads, stamp, inodes }: BaseOffer): void {
  putHex(out, id, 32);
  out.varint(actors.length);
  for (const { actor, seq, op, hash } of actors) {
    putHex(out, actor, 16);
    out.varint(seq).varint(op);
    putHex(out, hash, 32);
  }
  out.varint(heads.length);
  for (const head of heads) putHex(out, head, 32);
  out.varint(stamp).varint(inodes);
}

function readOffer(reader: ByteReader): BaseOffer {
  const id = readHex(reader, 'base id', 32);
  const actors: BaseActor[] = [];
  let last = '';
  for (let left = readCount(reader, 'actors of base', 50, MAX_ACTORS); left > 0; left--) {
    const actor = readHex(reader, 'actor', 16);
    if (actor <= last) throw new CorruptionError(`base: actor ${actor} after ${last}`);
    last = actor;
    const seq = reader.varint('seq');
    if (seq === 0) throw new CorruptionError(`base: seq 0 of actor ${actor}`);
    actors.push({ actor, seq, op: reader.varint('operation'), hash: readHex(reader, 'hash', 32) });
  }
  const heads: string[] = [];
  for (let left = readCount(reader, 'heads of base', 32, MAX_ACTORS); left > 0; left--) {
    const head = readHex(reader, 'head', 32);
    if (head <= (heads.at(-1) ?? '')) throw new CorruptionError('base: heads out of order');
    heads.push(head);
  }
  return { id, actors, heads, stamp: reader.varint('stamp'), inodes: reader.varint('inodes') };
}

function putHoldings(out: ByteWriter, holdings: readonly Holding[]): void {
  if (holdings.length > MAX_HOLDINGS) throw new RangeError(`${holdings.length} sites in one message`);
  out.varint(holdings.length);
  for (const { siteId, vector, seenMs } of holdings) {
    putHex(out, siteId, 16);
    putVector(out, vector);
    out.varint(seenMs);
  }
}

function readHoldings(reader: ByteReader): Holding[] {
  const holdings: Holding[] = [];
  let last = '';
  for (let left = readCount(reader, 'holdings', 18, MAX_HOLDINGS); left > 0; left--) {
    const siteId = readHex(reader, 'site id', 16);
    if (siteId <= last) throw new CorruptionError(`holdings: site ${siteId} after ${last}`);
    last = siteId;
    holdings.push({ siteId, vector: readVector(reader), seenMs: reader.varint('time seen') });
  }
  return holdings;
}

function readObjects(reader: ByteReader): ShippedObject[] {
  const objects: ShippedObject[] = [];
  for (let left = readCount(reader, 'objects', 34, MAX_IDS); left > 0; left--) {
    objects.push({
      id: readHex(reader, 'object id', 32),
      kind: reader.u8('object kind'),
      bytes: reader.bytes('object'),
    });
  }
  return objects;
}

function putVector(out: ByteWriter, vector: VersionVector): void {
  const actors = [...vector.keys()].toSorted();
  out.varint(actors.length);
  for (const actor of actors) {
    putHex(out, actor, 16);
    out.varint(vector.get(actor)!);
  }
}

function readVector(reader: ByteReader): Map<ActorId, number> {
  const vector = new Map<ActorId, number>();
  let last = '';
  for (let left = readCount(reader, 'actors in vector', 17, MAX_ACTORS); left > 0; left--) {
    const actor = readHex(reader, 'actor', 16);
    if (actor <= last) throw new CorruptionError(`vector: actor ${actor} after ${last}`);
    last = actor;
    const seq = reader.varint('seq');
    if (seq === 0) throw new CorruptionError(`vector: seq 0 of actor ${actor}`);
    vector.set(actor, seq);
  }
  return vector;
}

function putIds(out: ByteWriter, ids: readonly ObjectId[]): void {
  if (ids.length > MAX_IDS) throw new RangeError(`${ids.length} ids in one message`);
  out.varint(ids.length);
  for (const id of ids) putHex(out, id, 32);
}

function readIds(reader: ByteReader): ObjectId[] {
  const count = readCount(reader, 'ids', 32, MAX_IDS);
  return Array.from({ length: count }, () => readHex(reader, 'object id', 32));
}

function putIntroductions(out: ByteWriter, list: readonly Introduction[]): void {
  const told = list.slice(0, MAX_INTRODUCED);
  out.varint(told.length);
  for (const { siteId, site, address } of told) {
    putHex(out, siteId, 16);
    putText(out, site, MAX_NAME_BYTES);
    putText(out, address, MAX_ADDRESS_BYTES);
  }
}

function readIntroductions(reader: ByteReader): Introduction[] {
  const count = readCount(reader, 'introductions', 18, MAX_INTRODUCED);
  return Array.from({ length: count }, () => ({
    siteId: readHex(reader, 'site id', 16),
    site: readText(reader, 'site name', MAX_NAME_BYTES),
    address: readAddress(reader, 'address'),
  }));
}

/** A count of items of at least `itemBytes` each, so that no count makes the reader loop or allocate beyond its input. */
function readCount(reader: ByteReader, what: string, itemBytes: number, max: number): number {
  const count = reader.varint(`count of ${what}`);
  if (count > max) throw new CorruptionError(`${count} ${what} in one message, at most ${max}`);
  if (count * itemBytes > reader.remaining) {
    throw new CorruptionError(`${count} ${what} cannot be in ${reader.remaining} bytes`);
  }
  return count;
}

function readFlag(reader: ByteReader, what: string): boolean {
  const value = reader.u8(what);
  if (value > 1) throw new CorruptionError(`${what}: ${value} is neither 0 nor 1`);
  return value === 1;
}

function putHex(out: ByteWriter, hex: string, byteLength: number): void {
  const bytes = Buffer.from(hex, 'hex');
  if (bytes.length !== byteLength || hex.length !== 2 * byteLength)
    throw new RangeError(`not ${byteLength} bytes: ${hex}`);
  out.raw(bytes);
}

function readHex(reader: ByteReader, what: string, byteLength: number): string {
  return reader.view(byteLength, what).toString('hex');
}

function putText(out: ByteWriter, text: string, maxBytes: number): void {
  const bytes = Buffer.from(text, 'utf8');
  if (bytes.length > maxBytes) throw new RangeError(`text of ${bytes.length} bytes, at most ${maxBytes}: ${text}`);
  out.bytes(bytes);
}

// eslint-disable-next-line no-control-regex -- control characters are what it looks for
const CONTROL_CHARACTERS = /[\u0000-\u001f\u007f-\u009f]/;

/** Whether a name can be told to peers. */
export function isWireName(name: string): boolean {
  return name !== '' && Buffer.byteLength(name) <= MAX_NAME_BYTES && !CONTROL_CHARACTERS.test(name);
}

/** Text ends up on a user's terminal: control characters are refused. */
function readText(reader: ByteReader, what: string, maxBytes: number): string {
  const bytes = reader.bytes(what, maxBytes);
  if (!isUtf8(bytes)) throw new CorruptionError(`${what} is not UTF-8`);
  const text = bytes.toString('utf8');
  if (CONTROL_CHARACTERS.test(text)) throw new CorruptionError(`${what} holds control characters`);
  return text;
}

/** Where a site listens: it will be dialled; '' when it does not. */
function readAddress(reader: ByteReader, what: string): string {
  const address = readText(reader, what, MAX_ADDRESS_BYTES);
  if (address !== '' && !isDialable(address)) throw new CorruptionError(`${what} ${JSON.stringify(address)} is none`);
  return address;
}

/** A goodbye that conforms, whatever went into its reason. */
export function goodbye(code: GoodbyeCode, reason: string): Message {
  let text = reason.replace(new RegExp(CONTROL_CHARACTERS, 'g'), ' ');
  while (Buffer.byteLength(text) > MAX_REASON_BYTES) text = text.slice(0, -1);
  return { type: 'goodbye', code, reason: text };
}

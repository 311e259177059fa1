// message-fields.ts — the bytes of what messages are made of: vectors, ids, changes, objects, what is told of other sites. Pure.
// Decoding is strict: every count is checked against the input before anything is made of it, and sets are in ascending order without
// repetition. What does not conform is a CorruptionError; what cannot be said is a RangeError of ours.

import { type ByteReader, type ByteWriter, CorruptionError } from '../codec/bytes.js';
import type { ActorId, ObjectId } from '../crdt/ids.js';
import type { Dot, VersionVector } from '../crdt/change.js';
import type { BaseActor, BaseOffer } from '../journal/base-part.js';
import type { Holding } from './member-vectors.js';
import {
  type Introduction,
  MAX_ACTORS,
  MAX_CHANGES,
  MAX_DEPS,
  MAX_HOLDINGS,
  MAX_IDS,
  MAX_INTRODUCED,
} from './message.js';
import type { ShippedChange, ShippedObject } from './ports.js';
import { MAX_ADDRESS_BYTES, MAX_NAME_BYTES, putText, readAddress, readText } from './wire-text.js';

/** Changes name their actor by its place in a list of the distinct ones, in order of first use. */
export function putChanges(out: ByteWriter, changes: readonly ShippedChange[]): void {
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

export function readChanges(reader: ByteReader): ShippedChange[] {
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

export function readDot(reader: ByteReader, actors: readonly ActorId[]): Dot {
  const place = reader.varint('actor of change');
  const actor = actors[place];
  if (actor === undefined) throw new CorruptionError(`change by actor ${place} of ${actors.length}`);
  const seq = reader.varint('seq of change');
  if (seq === 0) throw new CorruptionError(`change 0 of actor ${actor}`);
  return { actor, seq };
}

export function putOffer(out: ByteWriter, { id, actors, heads, stamp, inodes }: BaseOffer): void {
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

export function readOffer(reader: ByteReader): BaseOffer {
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

export function putHoldings(out: ByteWriter, holdings: readonly Holding[]): void {
  if (holdings.length > MAX_HOLDINGS) throw new RangeError(`${holdings.length} sites in one message`);
  out.varint(holdings.length);
  for (const { siteId, vector, seenMs } of holdings) {
    putHex(out, siteId, 16);
    putVector(out, vector);
    out.varint(seenMs);
  }
}

export function readHoldings(reader: ByteReader): Holding[] {
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

export function readObjects(reader: ByteReader): ShippedObject[] {
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

export function putVector(out: ByteWriter, vector: VersionVector): void {
  const actors = [...vector.keys()].toSorted();
  out.varint(actors.length);
  for (const actor of actors) {
    putHex(out, actor, 16);
    out.varint(vector.get(actor)!);
  }
}

export function readVector(reader: ByteReader): Map<ActorId, number> {
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

export function putIds(out: ByteWriter, ids: readonly ObjectId[]): void {
  if (ids.length > MAX_IDS) throw new RangeError(`${ids.length} ids in one message`);
  out.varint(ids.length);
  for (const id of ids) putHex(out, id, 32);
}

export function readIds(reader: ByteReader): ObjectId[] {
  const count = readCount(reader, 'ids', 32, MAX_IDS);
  return Array.from({ length: count }, () => readHex(reader, 'object id', 32));
}

export function putIntroductions(out: ByteWriter, list: readonly Introduction[]): void {
  const told = list.slice(0, MAX_INTRODUCED);
  out.varint(told.length);
  for (const { siteId, site, address } of told) {
    putHex(out, siteId, 16);
    putText(out, site, MAX_NAME_BYTES);
    putText(out, address, MAX_ADDRESS_BYTES);
  }
}

export function readIntroductions(reader: ByteReader): Introduction[] {
  const count = readCount(reader, 'introductions', 18, MAX_INTRODUCED);
  return Array.from({ length: count }, () => ({
    siteId: readHex(reader, 'site id', 16),
    site: readText(reader, 'site name', MAX_NAME_BYTES),
    address: readAddress(reader, 'address'),
  }));
}

/** A count of items of at least `itemBytes` each, so that no count makes the reader loop or allocate beyond its input. */
export function readCount(reader: ByteReader, what: string, itemBytes: number, max: number): number {
  const count = reader.varint(`count of ${what}`);
  if (count > max) throw new CorruptionError(`${count} ${what} in one message, at most ${max}`);
  if (count * itemBytes > reader.remaining) {
    throw new CorruptionError(`${count} ${what} cannot be in ${reader.remaining} bytes`);
  }
  return count;
}

export function readFlag(reader: ByteReader, what: string): boolean {
  const value = reader.u8(what);
  if (value > 1) throw new CorruptionError(`${what}: ${value} is neither 0 nor 1`);
  return value === 1;
}

export function putHex(out: ByteWriter, hex: string, byteLength: number): void {
  const bytes = Buffer.from(hex, 'hex');
  if (bytes.length !== byteLength || hex.length !== 2 * byteLength)
    throw new RangeError(`not ${byteLength} bytes: ${hex}`);
  out.raw(bytes);
}

export function readHex(reader: ByteReader, what: string, byteLength: number): string {
  return reader.view(byteLength, what).toString('hex');
}

// change-codec.ts — a change as the bytes of an Automerge change chunk, and back.
// Invariant: a change has one encoding, the one of change-encoder.ts: bytes that come from outside are read within bounds, written
// again, and refused when that gives others. So nothing has to be said of the many ways to spell the same change, nor can two
// sites read the same bytes differently. Only what we write is read: `set` of strings and integers on the root map, uncompressed.
// Spec: https://automerge.org/automerge-binary-format-spec/ ("Chunk Container", "Change Chunks")

import { hash as hashOf } from 'node:crypto';
import { ByteReader, CorruptionError } from '../codec/bytes.js';
import { DeltaReader, TextReader, UintReader } from '../codec/column-reader.js';
import type { Change, ChangeOp, Value } from '../crdt/change.js';
import type { ActorId } from '../crdt/ids.js';
import { parseKey } from '../crdt/register-schema.js';
import type { LocalDot } from './dots.js';
import { ChangeEncoder } from './change-encoder.js';
import type { ChangeHeader } from './change-encoder.js';
import { ACTOR_BYTES, CHANGE_CHUNK, CHECKSUM_AT, COLUMN } from './change-format.js';
import { HASH_BYTES, MAGIC, MAX_OP, TYPE_AT, VALUE_TYPE } from './change-format.js';

/** Rows that any change may have, however short: equal ones need no bytes. Clearly more rows than bytes are a bomb. */
const SPARE_ROWS = 4096;
/** Nor has a change more predecessors than that for each of its bytes. */
const MAX_PREDS_PER_BYTE = 64;

const SPECIFICATIONS: ReadonlySet<number> = new Set(Object.values(COLUMN));

export interface EncodedChange {
  /** One Automerge change chunk; the same at every site. */
  readonly bytes: Uint8Array;
  readonly change: Change;
}

/** A change as it comes from another site: with where the changes stand that it builds on, in the order of its own list. */
export interface PlacedChange extends EncodedChange {
  readonly deps?: readonly LocalDot[] | undefined;
}

/** Writes what is authored, and again what is read: one after the other, never at once. */
const encoder = new ChangeEncoder();

/**
 * Encodes a change; its hash comes from the bytes. Whoever makes operations one by one feeds a {@link ChangeEncoder} instead.
 * Strings must not hold lone surrogates (latin1 never does).
 * @throws Error when the document has no operation numbers left
 */
export function encodeChange(draft: Omit<Change, 'hash'>): EncodedChange {
  encoder.reset(); // a change that could not be encoded may have left something
  for (const { key, value, pred } of draft.ops) {
    const { ino, field } = parseKey(key);
    encoder.set(ino, field, value);
    for (const id of pred) {
      const at = id.indexOf('@');
      encoder.pred(Number(id.slice(0, at)), id.slice(at + 1));
    }
  }
  const { bytes, hash } = encoder.finish(draft);
  return { bytes, change: { ...draft, hash } };
}

/**
 * Decodes a change that may come from anyone.
 * @param limitBytes what it may hold, encoded and expanded
 * @throws CorruptionError
 */
export function decodeChange(bytes: Uint8Array, limitBytes: number): Change {
  if (bytes.length > limitBytes) throw new CorruptionError(`change: ${bytes.length} bytes, at most ${limitBytes}`);
  const input = new ByteReader(bytes);
  if (input.u32('change') !== MAGIC) throw new CorruptionError('change: not an Automerge chunk');
  const checksum = input.hex(TYPE_AT - CHECKSUM_AT, 'checksum');
  const type = input.u8('chunk type');
  if (type !== CHANGE_CHUNK) throw new CorruptionError(`change: chunk of type ${type}`);
  const body = input.part(input.varint('chunk'), 'chunk');
  input.finish('change');
  const hash = hashOf('sha256', input.buffer.subarray(TYPE_AT));
  if (!hash.startsWith(checksum)) throw new CorruptionError('change: wrong checksum');

  encoder.reset();
  const header = readHeader(body);
  const actors = [header.actor];
  for (let others = body.varint('other actors'); others > 0; others--) actors.push(readActor(body));
  const ops = readOps(body, actors, limitBytes);
  if (header.startOp + ops.length - 1 > MAX_OP) throw new CorruptionError(`change: operations above ${MAX_OP}`);
  if (!input.buffer.equals(encoder.finish(header).bytes)) throw new CorruptionError('change: not in canonical form');
  return { ...header, hash, ops };
}

/** The number of the first operation of a change that was decoded before: for looking changes up without reading them whole. */
export function startOpOf(bytes: Uint8Array): number {
  const input = new ByteReader(bytes, TYPE_AT + 1);
  input.varint('chunk');
  return readHeader(input).startOp;
}

/** The hashes of what a change that was decoded before builds on. */
export function depsOf(bytes: Uint8Array): readonly string[] {
  const input = new ByteReader(bytes, TYPE_AT + 1);
  input.varint('chunk');
  return readHeader(input).deps;
}

/** The counter of the last operation of a change that was decoded before. */
export function lastOpOf(bytes: Uint8Array): number {
  const { startOp, ops } = decodeChange(bytes, Infinity);
  return startOp + ops.length - 1;
}

function readHeader(body: ByteReader): ChangeHeader {
  const deps: string[] = [];
  for (let left = body.varint('deps'); left > 0; left--) deps.push(body.hex(HASH_BYTES, 'deps'));
  if (deps.some((dep, i) => i > 0 && deps[i - 1]! > dep)) throw new CorruptionError('change: deps out of order');
  const actor = readActor(body);
  const seq = body.varint('seq');
  const startOp = body.varint('startOp');
  if (seq < 1 || startOp < 1) throw new CorruptionError('change: seq or startOp out of range');
  const stamp = body.sleb128('time');
  if (stamp < 0) throw new CorruptionError('change: stamp out of range');
  if (body.varint('message') !== 0) throw new CorruptionError('change: holds a message');
  return { actor, seq, startOp, stamp, deps };
}

function readActor(body: ByteReader): ActorId {
  const length = body.varint('actor');
  if (length !== ACTOR_BYTES) throw new CorruptionError(`change: an actor id of ${length} bytes`);
  return body.hex(length, 'actor');
}

/** Reads the operations, and gives them to the encoder. */
function readOps(body: ByteReader, actors: readonly ActorId[], limitBytes: number): ChangeOp[] {
  const sizeBytes = body.end;
  const column = readColumns(body);
  const keys = new TextReader(column(COLUMN.keyString), 'keys');
  const inserts = column(COLUMN.insert);
  const valueMetadata = new UintReader(column(COLUMN.valueMetadata), 'value metadata');
  const values = column(COLUMN.value);
  const predGroup = new UintReader(column(COLUMN.predGroup), 'predecessors');
  const predActor = new UintReader(column(COLUMN.predActor), 'predecessor actors');
  const predCounter = new DeltaReader(column(COLUMN.predCounter), 'predecessor counters');
  const suffixes = actors.map((actor) => `@${actor}`);

  // So many times false ("Boolean Encoding"). That every action is `set` comes out when they are encoded again.
  const count = inserts.remaining > 0 ? inserts.varint('inserts') : 0;
  if (count > sizeBytes + SPARE_ROWS) throw new CorruptionError(`change: ${count} operations in ${sizeBytes} bytes`);
  let predsLeft = sizeBytes * MAX_PREDS_PER_BYTE;
  let keyChars = 0;
  const ops: ChangeOp[] = [];
  for (let i = 0; i < count; i++) {
    const key = keys.next();
    keyChars += key.length;
    if (keyChars > limitBytes) throw new CorruptionError(`change: expands to more than ${limitBytes} bytes`);
    const { ino, field } = parseKey(key);
    const value = readValue(values, valueMetadata.next(), key);
    encoder.set(ino, field, value);
    const preds = predGroup.next();
    predsLeft -= preds;
    if (predsLeft < 0) throw new CorruptionError(`change: too many predecessors in ${sizeBytes} bytes`);
    const pred: string[] = [];
    for (let j = 0; j < preds; j++) {
      const actor = predActor.next();
      const counter = predCounter.next();
      if (actor >= actors.length) throw new CorruptionError(`change: ${key}: overwrites one of no actor`);
      if (counter < 1 || counter > MAX_OP) throw new CorruptionError(`change: ${key}: overwrites operation ${counter}`);
      encoder.pred(counter, actors[actor]!);
      pred.push(counter + suffixes[actor]!);
    }
    ops.push({ key, value, pred });
  }
  return ops;
}

/**
 * "Column Metadata" and the data of the columns.
 * @returns the data of a column, empty when it is not there
 */
function readColumns(body: ByteReader): (specification: number) => ByteReader {
  const lengths: [specification: number, length: number][] = [];
  for (let left = body.varint('columns'); left > 0; left--) {
    const specification = body.varint('column');
    if (!SPECIFICATIONS.has(specification))
      throw new CorruptionError(`change: column ${specification}: holds an operation other than a set on the root map`);
    lengths.push([specification, body.varint('column length')]);
  }
  const data = new Map<number, ByteReader>();
  for (const [specification, length] of lengths) data.set(specification, body.part(length, 'column'));
  body.finish('change');
  return (specification) => data.get(specification) ?? new ByteReader(body.buffer, 0, 0);
}

function readValue(values: ByteReader, metadata: number, key: string): Value {
  const length = Math.floor(metadata / 16);
  const type = metadata % 16;
  if (type === VALUE_TYPE.string) return values.text(length, 'values');
  if (type === VALUE_TYPE.int) return values.part(length, 'values').sleb128('values');
  throw new CorruptionError(`change: ${key}: neither a string nor an integer`);
}

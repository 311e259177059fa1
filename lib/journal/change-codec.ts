// change-codec.ts — a change as the bytes of an Automerge change chunk, and back.
// Invariant: bytes that come from outside reach the Automerge library only after change-bounds.ts measured what they expand to and
// their checksum was right; whatever else is wrong with them is a CorruptionError. Only what we write is accepted: `set` of
// strings and integers on the root map. Spec: https://automerge.org/automerge-binary-format-spec/

import { createHash } from 'node:crypto';
import * as Automerge from '@automerge/automerge';
import { CorruptionError } from '../codec/bytes.js';
import type { Change, ChangeOp } from '../crdt/change.js';
import { parseKey } from '../crdt/register-schema.js';
import { checkChunk } from './change-bounds.js';
import { ChangeEncoder } from './change-encoder.js';
import { MAX_OP } from './change-format.js';

const ROOT = '_root';

const ACTOR_ID = /^[0-9a-f]{32}$/;

export interface EncodedChange {
  /** One Automerge change chunk; the same at every site. */
  readonly bytes: Uint8Array;
  readonly change: Change;
}

const encoder = new ChangeEncoder();

/**
 * Encodes a change; its hash comes from the bytes. Whoever makes operations one by one feeds a {@link ChangeEncoder} instead.
 * Strings must not hold lone surrogates (latin1 never does).
 * @throws Error when the document has no operation numbers left
 */
export function encodeChange(draft: Omit<Change, 'hash'>): EncodedChange {
  encoder.reset(); // one that could not be encoded may have left something
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
  const chunk = checkChunk(bytes, limitBytes);
  const hash = hashOf(chunk);
  if (!hash.startsWith(Buffer.from(bytes.buffer, bytes.byteOffset + 4, 4).toString('hex'))) {
    throw new CorruptionError('change: wrong checksum');
  }
  let decoded: ReturnType<typeof Automerge.decodeChange>;
  try {
    decoded = Automerge.decodeChange(chunk);
  } catch (error) {
    throw new CorruptionError(`change: ${error instanceof Error ? error.message : String(error)}`);
  }
  const { actor, seq, startOp, time, deps } = decoded;
  if (!ACTOR_ID.test(actor)) throw new CorruptionError(`change: no actor id: ${actor.slice(0, 80)}`);
  if (!isCount(seq) || !isCount(startOp)) throw new CorruptionError('change: seq or startOp out of range');
  if (startOp + decoded.ops.length - 1 > MAX_OP) throw new CorruptionError(`change: operations above ${MAX_OP}`);
  if (!Number.isSafeInteger(time) || time < 0) throw new CorruptionError('change: stamp out of range');
  if (decoded.hash !== hash) throw new CorruptionError('change: not in canonical form');
  return { actor, seq, startOp, stamp: time, deps, hash, ops: decoded.ops.map(toOp) };
}

type DecodedOp = ReturnType<typeof Automerge.decodeChange>['ops'][number];

function toOp(op: DecodedOp): ChangeOp {
  const { action, obj, key, value, datatype, pred } = op as DecodedOp & { value?: unknown; datatype?: string };
  if (action !== 'set' || obj !== ROOT || typeof key !== 'string') {
    throw new CorruptionError('change: holds an operation other than a set on the root map');
  }
  const isText = typeof value === 'string' && datatype === undefined;
  const isInteger = Number.isSafeInteger(value) && datatype === 'int';
  if (!isText && !isInteger) throw new CorruptionError(`change: ${key}: neither a string nor an integer`);
  return { key, value: value as string | number, pred };
}

function isCount(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 1;
}

function hashOf(chunk: Uint8Array): string {
  return createHash('sha256').update(chunk.subarray(8)).digest('hex');
}

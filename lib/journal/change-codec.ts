// change-codec.ts — a change as the bytes of an Automerge change chunk, and back.
// Invariant: bytes that come from outside reach the Automerge library only after change-bounds.ts measured what they expand to and
// their checksum was right; whatever else is wrong with them is a CorruptionError. Only what we write is accepted: `set` of
// strings and integers on the root map. Spec: https://automerge.org/automerge-binary-format-spec/

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import * as Automerge from '@automerge/automerge';
import { CorruptionError } from '../codec/bytes.js';
import type { Change, ChangeOp } from '../crdt/change.js';
import { CHANGE_CHUNK, checkChunk } from './change-bounds.js';

const ROOT = '_root';
/** Automerge counts operations in 32 bits: what a document, and so an epoch of a volume, can hold. */
export const MAX_OP = 2 ** 32 - 1;

const ACTOR_ID = /^[0-9a-f]{32}$/;

export interface EncodedChange {
  /** One Automerge change chunk; the same at every site. */
  readonly bytes: Uint8Array;
  readonly change: Change;
}

/**
 * Encodes a change; its hash comes from the bytes. Strings must not hold lone surrogates (latin1 never does).
 * @throws Error when the document has no operation numbers left
 */
export function encodeChange(draft: Omit<Change, 'hash'>): EncodedChange {
  const { actor, seq, startOp, stamp, deps, ops } = draft;
  if (startOp + ops.length - 1 > MAX_OP)
    throw new Error(`the volume used up its ${MAX_OP} operations; begin a new epoch`);
  const bytes = Automerge.encodeChange({
    actor,
    seq,
    startOp,
    time: stamp,
    message: null,
    deps: [...deps],
    ops: ops.map(({ key, value, pred }) => {
      const op = { action: 'set' as const, obj: ROOT, key, value, pred: [...pred] };
      return typeof value === 'number' ? { ...op, datatype: 'int' as const } : op;
    }),
  } as Parameters<typeof Automerge.encodeChange>[0]);
  assert.equal(bytes[8], CHANGE_CHUNK, 'the library compressed a change, so its hash is not that of its bytes');
  return { bytes, change: { ...draft, hash: hashOf(bytes) } };
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

// change-encoder.ts — writes what we author as Automerge change chunks: `set` of strings and integers on the root map.
// Invariant: byte for byte what Automerge's own encodeChange makes of the same change (change-encoder.test.ts holds us to it), hence
// the same hash, without its way through JSON and WebAssembly. Not an encoder of all the format: no other objects, actions or
// values, no compression. Spec: https://automerge.org/automerge-binary-format-spec/ ("Chunk Container", "Change Chunks")

import { hash as hashOf } from 'node:crypto';
import { ByteWriter } from '../codec/bytes.js';
import { UintColumn } from '../codec/column-writer.js';
import type { Change, Value } from '../crdt/change.js';
import type { ActorId, Ino } from '../crdt/ids.js';
import { ACTION_SET, ACTOR_BYTES, CHANGE_CHUNK, CHECKSUM_AT, COLUMN } from './change-format.js';
import { HASH_BYTES, MAGIC, MAX_OP, TYPE_AT, VALUE_TYPE } from './change-format.js';
import { KeyColumn } from './key-column.js';
import { PredecessorColumns } from './predecessor-columns.js';

/** Scratch that a larger change needed is given back. */
const KEPT_SCRATCH_BYTES = 1 << 20;

/** A change without its operations and what follows from them. */
export type ChangeHeader = Omit<Change, 'hash' | 'ops'>;

export interface ChangeBytes {
  /** One uncompressed change chunk; the caller's to keep. */
  readonly bytes: Uint8Array;
  /** SHA-256 hex of the bytes from the chunk's type on: the identity of the change. */
  readonly hash: string;
}

/**
 * Encodes one change after the other: {@link set}, then {@link pred} for what it overwrites, for each operation when it happens;
 * {@link finish} when the change ends. Keys and operation ids come in parts, so that nobody need format them.
 */
export class ChangeEncoder {
  private scratch = new Scratch();

  /** Operations of the change so far. */
  get ops(): number {
    return this.scratch.ops;
  }

  /**
   * The next operation: the register `<ino>.<field>` is set.
   * @param value a string or a safe integer; no string holds a lone surrogate
   */
  set(ino: Ino, field: string, value: Value): void {
    if (!field.isWellFormed() || (typeof value === 'string' && !value.isWellFormed()))
      throw new Error(`register ${JSON.stringify(`${ino}.${field}`)}: holds a lone surrogate`);
    this.scratch.set(ino, field, value);
  }

  /** An operation that the last {@link set} overwrites. They may come in any order. */
  pred(counter: number, actor: ActorId): void {
    if (!(Number.isInteger(counter) && counter >= 1 && counter <= MAX_OP))
      throw new RangeError(`operation ${counter}@${actor}: no number from 1 to ${MAX_OP}`);
    this.scratch.pred(counter, actor);
  }

  /** Forgets the operations so far. */
  reset(): void {
    if (this.scratch.chunk.length > KEPT_SCRATCH_BYTES) this.scratch = new Scratch();
    else this.scratch.reset();
  }

  /**
   * Ends the change. The next one begins empty, also when this throws.
   * @throws Error when the document has no operation numbers left
   */
  finish(header: ChangeHeader): ChangeBytes {
    try {
      if (header.deps.some((dep, i, deps) => i > 0 && deps[i - 1]! > dep)) throw new Error('dependencies out of order');
      if (header.startOp + this.ops - 1 > MAX_OP)
        throw new Error(`the volume used up its ${MAX_OP} operations; begin a new epoch`);
      return this.scratch.finish(header);
    } finally {
      this.reset();
    }
  }
}

/** One change in the making, column by column. */
class Scratch {
  ops = 0;
  readonly chunk = new ByteWriter();
  /** The contents of the chunk up to the data of the columns. */
  private readonly head = new ByteWriter();
  private readonly keys = new KeyColumn();
  private readonly insert = new ByteWriter();
  private readonly action = new ByteWriter();
  private readonly valueMetadata = new UintColumn();
  private readonly values = new ByteWriter();
  private readonly preds = new PredecessorColumns();

  set(ino: Ino, field: string, value: Value): void {
    const { values } = this;
    const at = values.length;
    let type: number;
    if (typeof value === 'string') {
      values.text(value);
      type = VALUE_TYPE.string;
    } else {
      values.sleb128(value);
      type = VALUE_TYPE.int;
    }
    this.valueMetadata.append((values.length - at) * 16 + type);
    this.keys.append(ino, field);
    this.preds.nextOp();
    this.ops++;
  }

  pred(counter: number, actor: ActorId): void {
    if (this.ops === 0) throw new Error('a predecessor of no operation');
    this.preds.add(counter, actor);
  }

  reset(): void {
    this.ops = 0;
    this.chunk.reset();
    this.head.reset();
    this.keys.reset();
    this.insert.reset();
    this.action.reset();
    this.valueMetadata.reset();
    this.values.reset();
    this.preds.reset();
  }

  finish({ actor, seq, startOp, stamp, deps }: ChangeHeader): ChangeBytes {
    const { ops, head, chunk, preds } = this;
    const others = preds.finish(actor);
    if (ops > 0) {
      this.insert.varint(ops); // so many times false ("Boolean Encoding")
      this.action.sleb128(ops > 1 ? ops : -1).varint(ACTION_SET); // a run, or a literal run of one
    }

    head.varint(deps.length);
    for (const dep of deps) head.hex(dep, HASH_BYTES);
    head.varint(ACTOR_BYTES).hex(actor, ACTOR_BYTES);
    head.varint(seq).varint(startOp).sleb128(stamp);
    head.varint(0); // length of the message
    head.varint(others.length);
    for (const other of others) head.varint(ACTOR_BYTES).hex(other, ACTOR_BYTES);
    const columns: readonly [specification: number, data: ByteWriter][] = [
      [COLUMN.keyString, this.keys.finish()],
      [COLUMN.insert, this.insert],
      [COLUMN.action, this.action],
      [COLUMN.valueMetadata, this.valueMetadata.finish()],
      [COLUMN.value, this.values],
      [COLUMN.predGroup, preds.group.finish()],
      [COLUMN.predActor, preds.actor.finish()],
      [COLUMN.predCounter, preds.counter.finish()],
    ];
    let present = 0;
    let dataBytes = 0;
    for (const [, { length }] of columns) {
      if (length > 0) present++;
      dataBytes += length;
    }
    head.varint(present);
    for (const [specification, { length }] of columns) {
      if (length > 0) head.varint(specification).varint(length);
    }

    chunk.u32(MAGIC).u32(0).u8(CHANGE_CHUNK);
    chunk.varint(head.length + dataBytes).append(head);
    for (const [, data] of columns) chunk.append(data);
    const bytes = chunk.copy();
    const hash = hashOf('sha256', bytes.subarray(TYPE_AT));
    bytes.writeUInt32BE(Number.parseInt(hash.slice(0, 8), 16), CHECKSUM_AT);
    return { bytes, hash };
  }
}

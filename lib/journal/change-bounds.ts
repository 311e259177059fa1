// change-bounds.ts — measures what an Automerge change chunk expands to, before anything expands it.
// Invariant: no allocation here beyond the given limit, whatever the bytes say. The format compresses (DEFLATE, run lengths), so a
// few bytes can claim 2^50 operations; the library would allocate them all and take its WASM memory, hence the process's every
// document, down. Not a decoder: it checks lengths and counts only.
// Spec: https://automerge.org/automerge-binary-format-spec/ ("Chunks", "Change chunks", "Columnar storage")

import { inflateRawSync } from 'node:zlib';
import { ByteReader, ByteWriter, CorruptionError } from '../codec/bytes.js';
import { CHANGE_CHUNK, MAGIC, TYPE_AT } from './change-format.js';

const COMPRESSED_CHANGE_CHUNK = 2;

const COLUMN = { group: 0, actor: 1, integer: 2, delta: 3, boolean: 4, text: 5, valueMeta: 6, valueRaw: 7 } as const;
/** Rows that any chunk may have, however short. */
const SPARE_ROWS = 4096;

const COLUMN_TYPE_MASK = 7;
const COLUMN_DEFLATED = 8;

/**
 * Checks one change chunk, and inflates it when it is compressed.
 * @returns the chunk in its uncompressed form, over whose bytes past the eighth the change's hash is taken
 * @throws CorruptionError when it is not one whole chunk, or holds or expands to more than `limitBytes`
 */
export function checkChunk(bytes: Uint8Array, limitBytes: number): Uint8Array {
  if (bytes.length > limitBytes) throw new CorruptionError(`change: ${bytes.length} bytes, at most ${limitBytes}`);
  const input = new ByteReader(bytes);
  if (input.u32('change') !== MAGIC) throw new CorruptionError('change: not an Automerge chunk');
  const checksum = input.view(4, 'checksum');
  const type = input.u8('chunk type');
  const body = input.bytes('chunk');
  input.finish('change');
  if (type === CHANGE_CHUNK) {
    checkBody(body, limitBytes);
    return bytes;
  }
  if (type !== COMPRESSED_CHANGE_CHUNK) throw new CorruptionError(`change: chunk of type ${type}`);
  const inflated = inflate(body, limitBytes);
  checkBody(inflated, limitBytes);
  return new ByteWriter(inflated.length + TYPE_AT + 16)
    .u32(MAGIC)
    .raw(checksum)
    .u8(CHANGE_CHUNK)
    .bytes(inflated)
    .view();
}

function inflate(body: Buffer, limitBytes: number): Buffer {
  try {
    return inflateRawSync(body, { maxOutputLength: Math.min(limitBytes, 2 ** 31 - 1) });
  } catch (error) {
    throw new CorruptionError(`change: ${error instanceof Error ? error.message : 'bad DEFLATE data'}`);
  }
}

function checkBody(body: Buffer, limitBytes: number): void {
  const input = new ByteReader(body);
  input.view(input.varint('deps') * 32, 'deps');
  input.bytes('actor');
  input.varint('seq');
  input.varint('startOp');
  input.sleb128('time');
  input.bytes('message');
  const actors = input.varint('other actors');
  for (let i = 0; i < actors; i++) input.bytes('other actor');

  const columns: { readonly type: number; readonly length: number }[] = [];
  const count = input.varint('columns');
  for (let i = 0; i < count; i++) {
    const spec = input.varint('column');
    if (spec & COLUMN_DEFLATED) throw new CorruptionError('change: holds a compressed column');
    columns.push({ type: spec & COLUMN_TYPE_MASK, length: input.varint('column length') });
  }
  let valueBytes = 0;
  for (const { type, length } of columns) {
    const column = new ByteReader(input.view(length, 'column'));
    if (type === COLUMN.valueRaw) {
      if (length < valueBytes) throw new CorruptionError('change: values are cut off');
    } else if (type === COLUMN.boolean) {
      checkBooleans(column, body.length + SPARE_ROWS);
    } else {
      const size = measureRuns(column, type, body.length, limitBytes);
      if (type === COLUMN.valueMeta) valueBytes = size;
    }
  }
  // What follows is for later versions of the format; the library keeps and ignores it.
}

/**
 * Walks a run-length encoded column.
 * Every operation we write has a value of at least a byte, and rarely more than one predecessor: clearly more rows than the chunk
 * has bytes are a bomb, and so are more than 64 predecessors for each byte.
 * @returns for value metadata: the bytes its values have
 */
function measureRuns(column: ByteReader, type: number, bodyBytes: number, limitBytes: number): number {
  const isPerPredecessor = type === COLUMN.actor || type === COLUMN.delta;
  const maxRows = isPerPredecessor ? bodyBytes * 64 : bodyBytes + SPARE_ROWS;
  let rows = 0;
  let size = 0;
  const addRows = (n: number): void => {
    rows += n;
    if (rows > maxRows) throw new CorruptionError(`change: more than ${maxRows} rows`);
  };
  const addValue = (times: number): void => {
    let weight = 0;
    if (type === COLUMN.text) weight = column.bytes('key').length;
    else if (type === COLUMN.delta) column.sleb128('delta');
    else if (type === COLUMN.valueMeta) weight = Math.floor(column.varint('value metadata') / 16);
    else if (type === COLUMN.group) weight = column.varint('predecessors');
    else column.varint('column value');
    size += weight * times;
    const max = type === COLUMN.group ? bodyBytes * 64 : limitBytes;
    if (size > max) throw new CorruptionError(`change: expands to more than ${max}`);
  };
  while (column.remaining > 0) {
    const run = column.sleb128('run');
    if (run > 0) {
      addRows(run);
      addValue(run);
    } else if (run < 0) {
      addRows(-run);
      for (let i = 0; i < -run; i++) addValue(1);
    } else {
      addRows(column.varint('null run'));
    }
  }
  return size;
}

function checkBooleans(column: ByteReader, maxRows: number): void {
  let rows = 0;
  while (column.remaining > 0) {
    rows += column.varint('boolean run');
    if (rows > maxRows) throw new CorruptionError(`change: more than ${maxRows} rows`);
  }
}

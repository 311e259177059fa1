// fallocate-rules.ts — what fallocate(2) demands of its arguments, the same for every kind of content. Pure.

import { posixError } from '../errno.js';
import {
  BLOCK_BYTES,
  FALLOC_COLLAPSE_RANGE,
  FALLOC_INSERT_RANGE,
  FALLOC_KEEP_SIZE,
  FALLOC_PUNCH_HOLE,
  FALLOC_ZERO_RANGE,
} from './writable-content.js';

export type FallocateVerb = 'allocate' | 'punch' | 'zero' | 'collapse' | 'insert';

const VERBS = new Map<number, FallocateVerb>([
  [0, 'allocate'],
  [FALLOC_KEEP_SIZE, 'allocate'],
  [FALLOC_PUNCH_HOLE | FALLOC_KEEP_SIZE, 'punch'],
  [FALLOC_ZERO_RANGE, 'zero'],
  [FALLOC_ZERO_RANGE | FALLOC_KEEP_SIZE, 'zero'],
  [FALLOC_COLLAPSE_RANGE, 'collapse'],
  [FALLOC_INSERT_RANGE, 'insert'],
]);

/** What a mode asks for. EOPNOTSUPP. */
export function fallocateVerb(mode: number): FallocateVerb {
  const verb = VERBS.get(mode);
  if (verb === undefined) throw posixError('EOPNOTSUPP');
  return verb;
}

/** Whether a mode gives blocks to what has none. EOPNOTSUPP. */
export function takesSpace(mode: number): boolean {
  const verb = fallocateVerb(mode);
  return verb !== 'punch' && verb !== 'collapse';
}

/** Checks a call against fallocate(2), for a file of `size` bytes that can grow to `maxSize`; returns what it asks for. EOPNOTSUPP, EINVAL, EFBIG. */
export function checkFallocate(
  mode: number,
  offset: number,
  length: number,
  size: number,
  maxSize: number,
): FallocateVerb {
  const verb = fallocateVerb(mode);
  if (offset < 0 || length <= 0) throw posixError('EINVAL');
  if (offset + length > maxSize) throw posixError('EFBIG');
  if (verb === 'collapse' || verb === 'insert') {
    if (offset % BLOCK_BYTES !== 0 || length % BLOCK_BYTES !== 0) throw posixError('EINVAL');
    if (verb === 'collapse' ? offset + length >= size : offset >= size) throw posixError('EINVAL');
    if (verb === 'insert' && size + length > maxSize) throw posixError('EFBIG');
  }
  return verb;
}

/** Whether a mode may move the end of the file outwards to the end of the range. */
function growsSize(mode: number): boolean {
  return mode === 0 || mode === FALLOC_ZERO_RANGE;
}

/** Size of the file after a call that succeeds. */
export function sizeAfter(mode: number, offset: number, length: number, size: number): number {
  const verb = fallocateVerb(mode);
  if (verb === 'collapse') return size - length;
  if (verb === 'insert') return size + length;
  return growsSize(mode) ? Math.max(size, offset + length) : size;
}

// draft-state.ts — a draft as the database holds it: that it is there, or all of it when the log can keep its records no longer.
// Local format: actor indexes are those of this site's actor table. Layout: form u8, key; then of one that is only noted the log position of
// its last version; else local file, whether the kernel writes to it, mtime, bases, the working copy's state or the bytes, holes, the log
// position of its last version, whether it is synced.

import { basename } from 'node:path';
import { ByteReader, ByteWriter } from '../codec/bytes.js';
import type { OpId } from '../crdt/ids.js';
import type { Timestamp } from '../crdt/inode.js';
import { SmallContent } from '../chunks/small-content.js';
import type { Draft } from './draft.js';

const FORM_SMALL = 0;
const FORM_WORKING_COPY = 1;
const FORM_NOTED = 2;

/** A draft whose bytes and history are in the log. */
export interface NotedDraft {
  readonly isNoted: true;
  /** See {@link Draft.key}. */
  readonly key: number;
  /** See {@link Draft.publishedLsn}. */
  readonly publishedLsn: number;
}

export interface DraftState {
  readonly isNoted: false;
  readonly isSmall: boolean;
  /** See {@link Draft.key}. */
  readonly key: number;
  /** Name of the local file; '' of a small draft. */
  readonly file: string;
  /** Whether the kernel writes to the local file by itself. */
  readonly isShared: boolean;
  readonly mtime: Timestamp;
  readonly bases: readonly OpId[];
  /** The bytes of a small draft, or the state of its working copy. */
  readonly body: Buffer;
  /** Of a small draft: where holes begin and end. */
  readonly holes: readonly number[];
  readonly publishedLsn: number;
  /** See {@link Draft.synced}. */
  readonly synced: boolean;
}

export function encodeNotedDraft({ key, publishedLsn }: Draft): Buffer {
  return new ByteWriter(24).u8(FORM_NOTED).varint(key).varint(publishedLsn).copy();
}

export function encodeDraft(draft: Draft): Buffer {
  const out = new ByteWriter(1024);
  const { content } = draft;
  const isSmall = content instanceof SmallContent;
  out.u8(isSmall ? FORM_SMALL : FORM_WORKING_COPY).varint(draft.key);
  out.latin1(isSmall ? '' : basename(content.path)).u8(draft.seen ? 1 : 0);
  out.signed(draft.mtime.s).varint(draft.mtime.ns).varint(draft.bases.length);
  for (const op of draft.bases) out.varint(op.counter).varint(op.actor);
  if (content instanceof SmallContent) {
    const holes = content.holes();
    out.bytes(content.bytes()).varint(holes.length);
    for (const bound of holes) out.varint(bound);
  } else out.bytes(content.state()).varint(0);
  return out
    .varint(draft.publishedLsn)
    .u8(draft.synced ? 1 : 0)
    .copy();
}

/** @throws CorruptionError */
export function decodeDraft(state: Uint8Array): DraftState | NotedDraft {
  const input = new ByteReader(state);
  const form = input.u8('draft form');
  const key = input.varint('draft key');
  if (form === FORM_NOTED) {
    const publishedLsn = input.varint('position of the version');
    input.finish('noted draft');
    return { isNoted: true, key, publishedLsn };
  }
  const isSmall = form === FORM_SMALL;
  const file = input.latin1('local file', 255);
  const isShared = input.u8('shared') === 1;
  const mtime = { s: input.signed('seconds'), ns: input.varint('nanoseconds') };
  const bases: OpId[] = [];
  for (let n = input.varint('bases'); n > 0; n--) bases.push({ counter: input.varint(), actor: input.varint() });
  const body = input.bytes('draft body');
  const holes: number[] = [];
  // What was written before holes were kept ends here, of a working copy what was before its syncs were.
  for (let n = input.remaining > 0 ? input.varint('holes') : 0; n > 0; n--) holes.push(input.varint('hole bound'));
  const publishedLsn = input.remaining > 0 ? input.varint('position of the version') : 0;
  const synced = input.remaining > 0 && input.u8('synced') === 1;
  input.finish('draft state');
  return {
    isNoted: false,
    publishedLsn,
    synced,
    isSmall,
    key,
    file,
    isShared,
    mtime,
    bases,
    body: Buffer.from(body),
    holes,
  };
}

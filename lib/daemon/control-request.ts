// control-request.ts — what may be asked of a daemon on its control socket, and the check that a request is one of these.
// For the daemon: the command line takes only the types from here, and so runs without zod.

import { z } from 'zod';
import { ROLE_KINDS } from '../crdt/volume-fields.js';

const id = z.int().nonnegative();
const conflict = z.string().min(1).max(64);
/** Several addresses, a volume's name in percent signs, and 97 letters and digits. */
const MAX_INVITE = 4096;
const peer = z.string().min(1).max(255);
const name = z.string().min(1).max(255);
const limit = z.int().nonnegative();
/** In seconds, versions of a file, and bytes. */
const retention = z.strictObject({
  age: z.exactOptional(limit),
  count: z.exactOptional(limit),
  bytes: z.exactOptional(limit),
});
/** From the root of the volume; latin1 characters stand for bytes. */
const path = z.string().startsWith('/');
const MAX_DURATION_MS = 10 * 365 * 86_400_000;
const durationMs = z.number().positive().max(MAX_DURATION_MS);

const rate = z.int().positive();
const dayPart = z.strictObject({ from: z.int().min(0).max(1439), to: z.int().min(0).max(1440) });

export const controlRequest = z.discriminatedUnion('verb', [
  z.strictObject({ id, verb: z.literal('status') }),
  /** Reports {@link SyncProgress} while it waits, when asked to. */
  z.strictObject({ id, verb: z.literal('sync'), timeoutMs: durationMs, progress: z.boolean() }),
  z.strictObject({ id, verb: z.literal('pause'), peer: peer.nullable() }),
  z.strictObject({ id, verb: z.literal('resume'), peer: peer.nullable() }),
  z.strictObject({ id, verb: z.literal('addPeer'), peer: z.string().min(1).max(MAX_INVITE) }),
  z.strictObject({ id, verb: z.literal('removePeer'), peer }),
  z.strictObject({ id, verb: z.literal('peers') }),
  z.strictObject({ id, verb: z.literal('setRole'), site: peer, kind: z.enum(ROLE_KINDS) }),
  z.strictObject({ id, verb: z.literal('invite'), ttlMs: durationMs }),
  z.strictObject({ id, verb: z.literal('backup'), directory: path }),
  z.strictObject({ id, verb: z.literal('renameSite'), name }),
  z.strictObject({ id, verb: z.literal('rotateKey') }),
  /** `path` is from the root of the volume and begins with '/': latin1 characters stand for bytes; null: everything. */
  z.strictObject({ id, verb: z.literal('conflicts'), path: z.string().startsWith('/').nullable() }),
  z.strictObject({ id, verb: z.literal('history'), path, limit: z.int().positive() }),
  /** `version`: an id, a moment or a snapshot. */
  z.strictObject({ id, verb: z.literal('restore'), path, version: name, to: path.nullable() }),
  z.strictObject({ id, verb: z.literal('undelete'), path, since: name.nullable() }),
  z.strictObject({ id, verb: z.literal('snapshots') }),
  z.strictObject({ id, verb: z.literal('createSnapshot'), name }),
  z.strictObject({ id, verb: z.literal('deleteSnapshot'), name }),
  z.strictObject({ id, verb: z.literal('keep'), where: z.enum(['volume', 'site']), retention }),
  /** `carriesOut` false: only look. */
  z.strictObject({ id, verb: z.literal('collect'), carriesOut: z.boolean() }),
  z.strictObject({ id, verb: z.literal('keepHistory'), durationMs: z.int().nonnegative().max(MAX_DURATION_MS) }),
  /** Sets how long a site that is away is waited for, if it is told to, and answers how it stands with the journal. */
  z.strictObject({ id, verb: z.literal('journal'), awayMs: z.int().positive().max(MAX_DURATION_MS).nullable() }),
  /** Changes the limits if it is told to, and answers with what is set then. */
  z.strictObject({
    id,
    verb: z.literal('limit'),
    change: z
      .union([
        z.literal('none'),
        z.strictObject({
          between: dayPart.nullable(),
          upBytesPerS: z.exactOptional(rate.nullable()),
          downBytesPerS: z.exactOptional(rate.nullable()),
        }),
      ])
      .nullable(),
  }),
  /** Chooses what is given, and answers with what is chosen then. */
  z.strictObject({
    id,
    verb: z.literal('content'),
    change: z.strictObject({
      policy: z.exactOptional(z.enum(['everything', 'on-demand'])),
      cacheBytes: z.exactOptional(limit.nullable()),
      keepFreeBytes: z.exactOptional(limit.nullable()),
    }),
  }),
  z.strictObject({ id, verb: z.literal('pin'), paths: z.array(path).min(1) }),
  z.strictObject({ id, verb: z.literal('unpin'), paths: z.array(path).min(1) }),
  z.strictObject({ id, verb: z.literal('pins') }),
  z.strictObject({ id, verb: z.literal('evict'), path }),
  z.strictObject({
    id,
    verb: z.literal('resolve'),
    conflict,
    keep: z.string().min(1).max(255),
    /** An absolute path on this machine, and the bytes of the file there. */
    merged: z.strictObject({ path: z.string().startsWith('/'), size: z.int().nonnegative() }).nullable(),
  }),
  z.strictObject({ id, verb: z.literal('settled') }),
  z.strictObject({ id, verb: z.literal('undoResolve'), conflict }),
  /** What a check found damaged. */
  z.strictObject({
    id,
    verb: z.literal('repair'),
    objects: z.array(z.string().regex(/^[0-9a-f]{64}$/)),
    changes: z.array(z.strictObject({ actor: z.string().regex(/^[0-9a-f]{32}$/), seq: z.int().positive() })),
  }),
  z.strictObject({ id, verb: z.literal('stop'), force: z.boolean() }),
]);

export type ControlRequest = z.infer<typeof controlRequest>;
export type ControlVerb = ControlRequest['verb'];

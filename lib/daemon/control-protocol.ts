// control-protocol.ts — what the command line and a running daemon say to each other on the control socket.
// One JSON object per line in UTF-8. A request has an id of the client's choice; the daemon answers with any number of
// `progress` lines and then exactly one `result` or `error` line of the same id. Lines are bounded on both sides.
// Only same-version programs talk here: it is no public interface, and has no version of its own.

import { z } from 'zod';
import type { ConflictRow, SiteStatus } from './daemon-interface.js';

export const MAX_REQUEST_BYTES = 64 * 1024;
/** A list of a million conflicts fits. */
export const MAX_REPLY_BYTES = 256 * 1024 * 1024;

const id = z.int().nonnegative();
const peer = z.string().min(1).max(255);
const durationMs = z
  .number()
  .positive()
  .max(10 * 365 * 86_400_000);

export const controlRequest = z.discriminatedUnion('verb', [
  z.strictObject({ id, verb: z.literal('status') }),
  /** Reports {@link SyncProgress} while it waits, when asked to. */
  z.strictObject({ id, verb: z.literal('sync'), timeoutMs: durationMs, progress: z.boolean() }),
  z.strictObject({ id, verb: z.literal('pause'), peer: peer.nullable() }),
  z.strictObject({ id, verb: z.literal('resume'), peer: peer.nullable() }),
  z.strictObject({ id, verb: z.literal('addPeer'), address: peer }),
  z.strictObject({ id, verb: z.literal('removePeer'), peer }),
  z.strictObject({ id, verb: z.literal('invite'), ttlMs: durationMs }),
  /** `path` is from the root of the volume and begins with '/': latin1 characters stand for bytes; null: everything. */
  z.strictObject({ id, verb: z.literal('conflicts'), path: z.string().startsWith('/').nullable() }),
  z.strictObject({ id, verb: z.literal('stop'), force: z.boolean() }),
]);

export type ControlRequest = z.infer<typeof controlRequest>;
export type ControlVerb = ControlRequest['verb'];

/** What each verb's `result` holds. */
export interface ControlResults {
  status: SiteStatus;
  sync: { settled: boolean; status: SiteStatus };
  pause: null;
  resume: null;
  addPeer: null;
  removePeer: null;
  invite: string;
  conflicts: ConflictRow[];
  stop: null;
}

/** What `sync` reports while it waits. */
export interface SyncProgress {
  behindCommits: number;
  aheadCommits: number;
  missingObjects: number;
}

export const controlReply = z.union([
  z.strictObject({ id: id.nullable(), error: z.string() }),
  z.strictObject({ id, progress: z.unknown() }).refine((reply) => reply.progress !== undefined),
  z.strictObject({ id, result: z.unknown() }).refine((reply) => reply.result !== undefined),
]);

export type ControlReply = z.infer<typeof controlReply>;

/** Thrown for a line that is too long: what follows it cannot be told apart, so the connection must end. */
export class LineTooLongError extends Error {}

/** Cuts a byte stream into lines without their '\n', holding at most `maxBytes` of an unfinished one. */
export class LineSplitter {
  private parts: Buffer[] = [];
  private bytes = 0;

  constructor(private readonly maxBytes: number) {}

  /** The lines that `chunk` completes. Throws {@link LineTooLongError}. */
  *push(chunk: Buffer): Generator<Buffer> {
    let start = 0;
    for (let end = chunk.indexOf(10); end !== -1; end = chunk.indexOf(10, start)) {
      this.hold(chunk.subarray(start, end));
      const line = Buffer.concat(this.parts);
      this.parts = [];
      this.bytes = 0;
      start = end + 1;
      yield line;
    }
    if (start < chunk.length) this.hold(chunk.subarray(start));
  }

  /** The last line, when the stream ended without a '\n'. */
  *end(): Generator<Buffer> {
    if (this.bytes > 0) yield Buffer.concat(this.parts);
    this.parts = [];
    this.bytes = 0;
  }

  private hold(part: Buffer): void {
    this.bytes += part.length;
    if (this.bytes > this.maxBytes) throw new LineTooLongError(`a line is longer than ${this.maxBytes} bytes`);
    this.parts.push(part);
  }
}

/** Parses one line as JSON. Throws an Error that says what is wrong with it. */
export function parseLine(line: Buffer): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(line));
  } catch (error) {
    throw new Error(`not a line of JSON in UTF-8 (${(error as Error).message})`, { cause: error });
  }
}

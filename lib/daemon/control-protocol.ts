// control-protocol.ts — what the command line and a running daemon say to each other on the control socket.
// One JSON object per line in UTF-8. A request has an id of the client's choice; the daemon answers with any number of
// `progress` lines and then exactly one `result` or `error` line of the same id. Lines are bounded on both sides.
// Only same-version programs talk here: it is no public interface, and has no version of its own.

import type { JournalReport } from './journal-report.js';
import type { LimitReport } from './bandwidth.js';
import type { ContentSettings, Evicted, PinnedPath } from './content-interface.js';
import type { HistoryRow, Restored, SnapshotList, Undeleted } from './history-interface.js';
import type {
  BackupTaken,
  CollectionReport,
  ConflictRow,
  DamagedData,
  PeerRow,
  SettledRow,
  SiteStatus,
  Unshared,
} from './daemon-interface.js';

export const MAX_REQUEST_BYTES = 64 * 1024;
/** A list of a million conflicts fits. */
export const MAX_REPLY_BYTES = 256 * 1024 * 1024;

/** What each verb's `result` holds. */
export interface ControlResults {
  status: SiteStatus;
  sync: { settled: boolean; status: SiteStatus };
  pause: null;
  resume: null;
  addPeer: null;
  removePeer: null;
  invite: string;
  backup: BackupTaken;
  renameSite: null;
  /** The new identity. */
  rotateKey: string;
  peers: PeerRow[];
  setRole: null;
  conflicts: ConflictRow[];
  history: readonly HistoryRow[];
  restore: Restored;
  undelete: Undeleted;
  snapshots: SnapshotList;
  createSnapshot: null;
  deleteSnapshot: null;
  keep: null;
  collect: CollectionReport;
  keepHistory: null;
  journal: JournalReport;
  limit: LimitReport;
  content: ContentSettings;
  pin: null;
  unpin: null;
  pins: readonly PinnedPath[];
  evict: Evicted;
  resolve: SettledRow;
  settled: SettledRow[];
  undoResolve: SettledRow;
  /** What is still not there. */
  repair: DamagedData;
  stop: Unshared | null;
}

/** `id` is null when the request was so bad that it had none. */
export type ControlReply =
  { id: number | null; error: string } | { id: number; progress: unknown } | { id: number; result: unknown };

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

/** Parses one line as a reply. Throws an Error for anything else. By hand: the command line must not load zod for it. */
export function parseReply(line: Buffer): ControlReply {
  const value = parseLine(line) as Record<string, unknown> | null;
  const { id, error, progress, result } = value ?? {};
  if (typeof error === 'string' && (id === null || isId(id))) return { id, error };
  if (isId(id) && progress !== undefined) return { id, progress };
  if (isId(id) && result !== undefined) return { id, result };
  throw new Error('the daemon gave an answer that is none: is it of another version? weft umount, then weft mount');
}

export function isId(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

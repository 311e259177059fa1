// history-requests.ts — what the main thread asks the history thread, and the answers.

import type { Ino } from '../crdt/ids.js';
import type { Retention } from '../crdt/volume-fields.js';
import type { SnapshotList } from './history-interface.js';
import type { HistoryRow } from '../journal/path-history.js';
import type { RemovedTree } from '../journal/removed-trees.js';
import type { PastAnswer, PastQuestion } from '../volume/past-files.js';
import type { OldVersion } from '../volume/restoring.js';

export interface VersionToRestore extends OldVersion {
  readonly id: string;
  /** The file that it is a version of. */
  readonly ino: Ino;
  /** What the path leads to now. */
  readonly present: Ino | null;
  /** What has to get its place back when nothing has the path. */
  readonly removed: RemovedTree | null;
}

export interface HistoryThreadData {
  readonly stateDirectory: string;
}

/** Paths are from the root of the volume, begin with '/', and hold latin1 characters for bytes. */
export interface HistoryRequests {
  /** What happened to a path; refused when nothing ever had it. */
  history: { args: { path: string; limit: number }; reply: readonly HistoryRow[] };
  /** The version that `PATH@VERSION` means; refused when there is none, or several. */
  version: { args: { path: string; version: string }; reply: VersionToRestore };
  /** What was removed at a path last, or since a moment; refused when nothing was. */
  removed: {
    args: { path: string; since: string | null };
    /** `directory`: the path that what was asked for comes back to; null when it is there, and what is in it comes back. */
    reply: RemovedTree & { readonly directory: string | null };
  };
  /** The snapshots that there are, and how much of the past is kept. */
  snapshots: {
    args: null;
    reply: Omit<SnapshotList, 'keep'> & { readonly volume: Retention; readonly site: Retention };
  };
  /** What somebody who looks at the tree as it was asks for. */
  look: { args: { question: PastQuestion }; reply: PastAnswer };
}

export type HistoryRequestName = keyof HistoryRequests;

export type ToHistory = {
  [N in HistoryRequestName]: { readonly id: number; readonly name: N; readonly args: HistoryRequests[N]['args'] };
}[HistoryRequestName];

export type FromHistory =
  { readonly id: number; readonly value: unknown } | { readonly id: number; readonly error: string };

// history-requests.ts — what the main thread asks the history thread, and the answers.

import type { HistoryRow } from '../journal/path-history.js';

export interface HistoryThreadData {
  readonly stateDirectory: string;
}

/** Paths are from the root of the volume, begin with '/', and hold latin1 characters for bytes. */
export interface HistoryRequests {
  /** What happened to a path; refused when nothing ever had it. */
  history: { args: { path: string; limit: number }; reply: readonly HistoryRow[] };
}

export type HistoryRequestName = keyof HistoryRequests;

export type ToHistory = {
  [N in HistoryRequestName]: { readonly id: number; readonly name: N; readonly args: HistoryRequests[N]['args'] };
}[HistoryRequestName];

export type FromHistory =
  { readonly id: number; readonly value: unknown } | { readonly id: number; readonly error: string };

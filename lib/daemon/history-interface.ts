// history-interface.ts — what a running site offers of its past to the control socket.
// Paths are from the root of the volume, begin with '/', and hold latin1 characters for bytes. Methods reject with an Error whose message
// names what is wrong and the remedy.

import type { HistoryRow } from '../journal/path-history.js';

export type { HistoryRow };

export interface SiteHistory {
  /** What happened to a path, the latest first; so many rows at most. */
  history(path: string, limit: number): Promise<readonly HistoryRow[]>;
}

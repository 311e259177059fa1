// history-interface.ts — what a running site offers of its past to the control socket.
// Paths are from the root of the volume, begin with '/', and hold latin1 characters for bytes. Methods reject with an Error whose message
// names what is wrong and the remedy.

import type { HistoryRow } from '../journal/path-history.js';

export type { HistoryRow };

export interface Restored {
  /** The id of the version. */
  readonly version: string;
  readonly path: string;
}

export interface Undeleted {
  /** Where it is: the path, or one beside what has that now. */
  readonly path: string;
  /** Names that came back, those of directories included. */
  readonly names: number;
}

export interface SiteHistory {
  /** What happened to a path, the latest first; so many rows at most. */
  history(path: string, limit: number): Promise<readonly HistoryRow[]>;
  /**
   * Makes a path show an old version again; or a new path `to`.
   * @param version its id, a moment, or a snapshot
   */
  restore(path: string, version: string, to: string | null): Promise<Restored>;
  /** Brings back what was removed at a path last, or, with `since`, what is missing of what was there at that moment. */
  undelete(path: string, since: string | null): Promise<Undeleted>;
}

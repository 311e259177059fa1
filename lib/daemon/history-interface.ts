// history-interface.ts — what a running site offers of its past to the control socket.
// Paths are from the root of the volume, begin with '/', and hold latin1 characters for bytes. Methods reject with an Error whose message
// names what is wrong and the remedy.

import type { Retention } from '../crdt/volume-fields.js';
import type { HistoryRow } from '../journal/path-history.js';

export type { HistoryRow, Retention };
export { UNLIMITED } from '../journal/retention.js';

/** Limits of what is kept of the past. */
export interface Keeping {
  readonly volume: Retention;
  readonly site: Retention;
  /** The site's, else the volume's, else the usual. */
  readonly inForce: Required<Retention>;
}

export interface SnapshotRow {
  readonly name: string;
  /** The site that made it. */
  readonly site: string;
  /** Microseconds since 1970. */
  readonly stamp: number;
}

export interface SnapshotList {
  readonly snapshots: readonly SnapshotRow[];
  readonly keep: Keeping;
  /** The tree has an entry `.weft` of its own in its root, so that no snapshot can be entered. */
  readonly isHidden: boolean;
}

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
  snapshots(): Promise<SnapshotList>;
  createSnapshot(name: string): Promise<void>;
  deleteSnapshot(name: string): Promise<void>;
  /** Sets how much of the past is kept: by all sites, or by this one. */
  keep(where: 'volume' | 'site', retention: Retention): Promise<void>;
}

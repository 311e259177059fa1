// load-messages.ts — what the process that works on a mount is told, and what it says of what it did. Only what the filesystem acknowledged
// is said.

/** What such a process is started with. */
export interface LoadOrders {
  readonly mountpoint: string;
  /** Its own directory below `home`, that nobody else touches. */
  readonly area: string;
  /** A tree to copy, outside of the volume. */
  readonly source: string;
  readonly seed: string;
  /** No other process of the run has this number, 0 to LOADS_MAX - 1. */
  readonly number: number;
  /** Longest wait between two steps. */
  readonly pauseMaxMs: number;
}

export const LOADS_MAX = 64;
/** The directory that all sites work on. */
export const SHARED = 'shared';
export const HOME = 'home';

/** `again`: the mount was gone meanwhile. `turn`: how often it was told to go, this time included. */
export type LoadCommand =
  { readonly command: 'go'; readonly again: boolean; readonly turn: number } | { readonly command: 'pause' | 'end' };

export type LoadReport =
  /** Nothing is under way any more. */
  | { readonly report: 'paused' }
  /** A call failed, of those since it was told to go for the `turn`th time; waits for `go`. */
  | { readonly report: 'failed'; readonly what: string; readonly turn: number }
  /** What is shown is not what was acknowledged. */
  | { readonly report: 'wrong'; readonly what: string }
  /** A step was carried out. */
  | { readonly report: 'did'; readonly what: string }
  /** Files of the own area, by path in it: SHA-256 of the content that they have from now on; null: they are gone. */
  | { readonly report: 'stored'; readonly files: readonly (readonly [path: string, sha256: string | null])[] }
  /** The repository of the own area has this commit, and nothing that is not in it. */
  | { readonly report: 'committed'; readonly head: string }
  /** A version of a file that all work on. No two of a run have the same length. */
  | { readonly report: 'shared'; readonly path: string; readonly bytes: number; readonly sha256: string }
  /** Paths that were seen in the directory that all work on. */
  | { readonly report: 'seen'; readonly paths: readonly string[] };

// content-interface.ts — what a running site offers to people who choose which content it has: see weft content, pin and evict.
// Paths are from the root of the volume, latin1 strings of their bytes.

/** What a site fetches: the content of all files, or what is read here. The tree itself is always whole. */
export type ContentPolicy = 'everything' | 'on-demand';

export interface ContentSettings {
  readonly policy: ContentPolicy;
  /** On demand: content takes no more than this, as stored; null: no limit. */
  readonly cacheBytes: number | null;
  /** On demand: content is given up while the disk has less than this free; null: it is not looked at. */
  readonly keepFreeBytes: number | null;
}

/** A file or tree whose content is fetched and kept whatever else is chosen. */
export interface PinnedPath {
  /** Where it is now. */
  readonly path: string;
  readonly files: number;
  /** Of all versions that are shown, and what of that is not here yet. */
  readonly bytes: number;
  readonly missingBytes: number;
}

export interface Evicted {
  readonly objects: number;
  /** As stored. */
  readonly bytes: number;
  /** What stays, because no linked site said that it keeps it. */
  readonly lastCopyBytes: number;
  /** Of the disk. */
  readonly freedBytes: number;
  readonly removedPacks: readonly string[];
}

/** Methods reject with an Error whose message names what is wrong and the remedy. */
export interface ContentControl {
  /** What is chosen now. */
  settings(): ContentSettings;
  /** Chooses what is given, from now on and after restarts. */
  choose(change: Partial<ContentSettings>): Promise<void>;
  pin(paths: readonly string[]): Promise<void>;
  unpin(paths: readonly string[]): Promise<void>;
  pins(): Promise<readonly PinnedPath[]>;
  /** Gives up the content of the files at and below a path that others keep. */
  evict(path: string): Promise<Evicted>;
}

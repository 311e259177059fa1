// content-interface.ts — what a running site offers to people who choose which content it has: see weft content.
// Paths are from the root of the volume, latin1 strings of their bytes.

/** What a site fetches: the content of all files, or what is read here. The tree itself is always whole. */
export type ContentPolicy = 'everything' | 'on-demand';

export interface ContentSettings {
  readonly policy: ContentPolicy;
}

/** Methods reject with an Error whose message names what is wrong and the remedy. */
export interface ContentControl {
  /** What is chosen now. */
  settings(): ContentSettings;
  /** Chooses what is given, from now on and after restarts. */
  choose(change: Partial<ContentSettings>): Promise<void>;
}

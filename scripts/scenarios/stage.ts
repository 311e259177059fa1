// stage.ts — where a scenario is played: sites that can be cut off from each other, killed and started again.
// Real sites with real mounts (cluster-stage.ts), or simulated ones (simulated-stage.ts).

import type { SiteTree } from './site-tree.js';

/** A conflict as `weft conflicts` lists it. */
export interface ListedConflict {
  readonly path: string;
  readonly kind: string;
  readonly reason: string;
}

export interface Stage {
  tree(site: string): SiteTree;
  isAlive(site: string): boolean;
  digest(site: string): Promise<string>;
  /** As many as `weft status` counts; the same ones in the same order at all sites that have the same. */
  conflicts(site: string): Promise<readonly ListedConflict[]>;
  /** Some time passes, so that what another site does next is later for everybody. */
  pause(): Promise<void>;
  /** Sites in different groups cannot reach each other from now on. All sites sync first as far as they can. */
  partition(groups: readonly (readonly string[])[]): Promise<void>;
  /** Restores all links. */
  heal(): Promise<void>;
  /** Returns when all sites that can reach each other have the same. */
  sync(): Promise<void>;
  kill(site: string): Promise<void>;
  restart(site: string): Promise<void>;
  /** Sets the clock of a site forward, or back. */
  setClock(site: string, bySeconds: number): void;
  /** Gives the disk of a site's state another size. */
  setDisk(site: string, megabytes: number): Promise<void>;
  /** What is wrong at the sites that no scenario could expect; looked for after every step. */
  troubles(): string[];
  /** Likewise, when all sites have everything: also what takes longer to look for. */
  troublesAtEnd(): string[];
}

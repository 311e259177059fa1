// replica.ts — the sole mutator of replicated state: applies register writes and keeps the visible tree equal to their projection.

import type { ActorTable, Ino, Name } from './ids.js';
import type { TreeStore } from './tree-store.js';
import type { Value } from './change.js';
import type { OpId } from './ids.js';

/** One register write, identified. Local writes carry the stamp of the commit that is open. */
export interface RegisterWrite {
  readonly ino: Ino;
  readonly field: string;
  readonly value: Value;
  readonly counter: number;
  readonly actor: number;
  readonly stamp: number;
  /** The entries that it overwrites. One that is not there (any more) is no error. */
  readonly pred: readonly OpId[];
}

/** What a batch changed in the visible tree; the volume tells the kernel. */
export type ViewChange =
  /** (parent, name) now resolves to something else, or to nothing, or for the first time. */
  | {
      readonly kind: 'entry';
      readonly parent: Ino;
      readonly name: Name;
      readonly was: Ino | undefined;
      readonly is: Ino | undefined;
    }
  /** Attributes of the inode changed; `content` when its bytes did. */
  | { readonly kind: 'inode'; readonly ino: Ino; readonly content: boolean };

export declare class Replica {
  constructor(store: TreeStore, actors: ActorTable);
  /**
   * Applies a batch of writes, then brings the tree up to date once for all of them. Total: conflicts are data, and a batch whose
   * parents came before it never throws. A write whose op is already in the register is a no-op (duplicate delivery).
   */
  apply(writes: readonly RegisterWrite[]): ViewChange[];
}

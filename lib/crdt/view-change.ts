// view-change.ts — what a batch of register writes changed in the tree that is shown.

import type { Ino, Name } from './ids.js';

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

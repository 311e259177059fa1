// wanted-content.ts — which of the content that registers name this site asks for without anybody reading it: all of it, or none.
// Invariant: what is wanted for another reason (a merge, a version that is being made) is wanted either way.

import type { ObjectStore } from '../chunks/object-store.js';
import type { ContentMerges } from './content-merges.js';
import type { Folding } from './folding.js';

export class WantedContent {
  constructor(
    private readonly objects: ObjectStore,
    private readonly merges: ContentMerges,
    private readonly folding: Folding,
  ) {}

  /** True: what registers name from now on is wanted; what they name already is found by a collection. False: only what is read is. */
  keepAll(keepsAll: boolean): void {
    this.objects.keepsAll = keepsAll;
    if (!keepsAll) {
      this.objects.unwantAll();
      this.merges.noteAll();
    }
    this.folding.commit();
  }
}

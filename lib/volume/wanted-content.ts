// wanted-content.ts — which of the content that registers name this site asks for without anybody reading it: all of it, or what is
// pinned. Invariant: what is wanted for another reason (a merge, a version that is being made) is wanted either way.

import type { Ino, ObjectId } from '../crdt/ids.js';
import { ObjectKind } from '../chunks/object-kind.js';
import type { ObjectStore } from '../chunks/object-store.js';
import type { ContentMerges } from './content-merges.js';
import type { Folding } from './folding.js';
import type { PinnedTrees } from './pinned-trees.js';

export class WantedContent {
  constructor(
    private readonly objects: ObjectStore,
    private readonly merges: ContentMerges,
    private readonly folding: Folding,
    readonly pinned: PinnedTrees,
  ) {}

  /** True: what registers name from now on is wanted; what they name already is found by a collection. False: only what is read is. */
  keepAll(keepsAll: boolean): void {
    this.objects.keepsAll = keepsAll;
    if (!keepsAll) this.wantLess();
    this.folding.commit();
  }

  /** These and what is below them, and no others: what is written to them from now on is wanted. What is there is found by a survey. */
  pin(inos: readonly Ino[]): void {
    if (this.pinned.set(inos) && !this.objects.keepsAll) this.wantLess();
    this.folding.commit();
  }

  private wantLess(): void {
    this.objects.unwantAll();
    this.merges.noteAll();
  }

  /** Another site wrote a version of a file. */
  named(ino: Ino, manifest: ObjectId, size: number): void {
    if (!this.objects.keepsAll && this.pinned.covering(ino) !== undefined)
      this.objects.want(manifest, ObjectKind.manifest, size);
    else this.objects.name(manifest, ObjectKind.manifest, size);
  }
}

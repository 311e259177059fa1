// wanted-content.ts — which of the content that registers name this site asks for without anybody reading it: all of it, or what is
// pinned. Invariant: what is wanted for another reason (a merge, a version that is being made) is wanted either way. So is what is
// written on here and no version of a file any more: nobody else keeps it for long.

import type { Ino, ObjectId } from '../crdt/ids.js';
import type { TreeStore } from '../crdt/tree-store.js';
import type { ObjectStore } from '../chunks/object-store.js';
import type { ContentMerges } from './content-merges.js';
import type { Folding } from './folding.js';
import type { PinnedTrees } from './pinned-trees.js';
import type { VersionsInUse } from './versions-in-use.js';

export class WantedContent {
  constructor(
    private readonly objects: ObjectStore,
    private readonly merges: ContentMerges,
    private readonly folding: Folding,
    private readonly store: TreeStore,
    private readonly inUse: VersionsInUse,
    readonly pinned: PinnedTrees,
  ) {}

  /** True: what registers name from now on is wanted; what they name already is found by a collection. False: only what is read is. */
  keepAll(keepsAll: boolean): void {
    this.objects.keepsAll = keepsAll;
    if (keepsAll) this.wantBases();
    else this.wantLess();
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
    this.allOvertaken();
  }

  /** Another site wrote a version of a file. Its list of chunks may be here without them, of an older version that had the same bytes. */
  named(ino: Ino, manifest: ObjectId, size: number): void {
    if (!this.objects.keepsAll && this.pinned.covering(ino) !== undefined) this.objects.wantVersion(manifest, size);
    else this.objects.nameVersion(manifest, size);
  }

  /** A file was written or removed elsewhere: what is written on here, and is no version of it any more, will not be there for long. */
  overtaken(ino: Ino): void {
    // Where everything is kept it was wanted when a register named it.
    if (this.objects.keepsAll || !this.inUse.isWritten(ino)) return;
    const isRemoved = this.store.inode(ino)?.nlink === 0;
    const heads = this.inUse.heads(ino);
    const kept = new Set(isRemoved ? [] : heads.map(({ manifest }) => manifest));
    for (const { manifest, size } of [...this.inUse.bases(ino), ...heads])
      if (!kept.has(manifest)) this.objects.wantVersion(manifest, size);
  }

  /** Any file may have been. */
  allOvertaken(): void {
    for (const ino of this.inUse.inosWritten()) this.overtaken(ino);
  }

  /** They may be overtaken before a collection finds what else is missing. */
  private wantBases(): void {
    for (const ino of this.inUse.inosWritten())
      for (const { manifest, size } of this.inUse.bases(ino)) this.objects.wantVersion(manifest, size);
  }
}

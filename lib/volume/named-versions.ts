// named-versions.ts — what a register names is needed: told of each write before it is applied, this site's and others'.
// Invariant: a version that a head is about to name, and those of a file that is about to be shown again, stay through a collection
// that is under way; what is not here of the latter is wanted from other sites.

import { isTombstone, LINK_PREFIX, parseHead } from '../crdt/fields.js';
import type { Value } from '../crdt/change.js';
import type { Ino } from '../crdt/ids.js';
import type { TreeStore } from '../crdt/tree-store.js';
import type { ObjectStore } from '../chunks/object-store.js';

export class NamedVersions {
  constructor(
    private readonly store: TreeStore,
    private readonly objects: ObjectStore,
  ) {}

  note(ino: Ino, field: string, value: Value): void {
    if (field === 'head') {
      if (this.objects.collecting) this.objects.citeVersion(parseHead(value).manifest);
      // A version that the removal of a file had not seen brings the file back, with the others that it has.
      this.noteShown(ino, false);
    } else if (field.startsWith(LINK_PREFIX)) this.noteShown(ino, !isTombstone(value));
  }

  /**
   * The versions that the file has are about to be shown, if they are not yet.
   * @param mayMove what is shown may go to a place that a collection has not looked at
   */
  private noteShown(ino: Ino, mayMove: boolean): void {
    const { objects } = this;
    const inode = this.store.inode(ino);
    if (!inode || (inode.nlink > 0 && !(mayMove && objects.collecting))) return;
    for (const head of inode.registers.get('head') ?? []) {
      const { manifest, size } = parseHead(head.value);
      objects.nameVersion(manifest, size);
    }
  }
}

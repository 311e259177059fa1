// dropped-contents.ts — which files were removed here before a version was made of what was written to them, and what they were like.
// A program may have found such a file by its name just before, and open(2) or stat(2) it only now: nothing of its content is left, and
// what is to be said of it is that, not that it was empty. Invariant: bounded; what is forgotten was removed long before.

import type { Ino } from '../crdt/ids.js';
import type { Timestamp } from '../crdt/inode.js';

/** What stat(2) shows of a content. */
export interface ContentFacts {
  /** Bytes. */
  readonly size: number;
  /** Of 512 bytes. */
  readonly blocks: number;
  readonly mtime: Timestamp;
}

/** Each of a thousand programs may be between finding a name and opening the file, and not for long. */
const REMEMBERED_MAX = 4096;

export class DroppedContents {
  /** In order of removal. */
  private readonly byIno = new Map<Ino, ContentFacts>();

  note(ino: Ino, facts: ContentFacts): void {
    this.byIno.delete(ino);
    this.byIno.set(ino, facts);
    if (this.byIno.size <= REMEMBERED_MAX) return;
    const [oldest] = this.byIno.keys();
    this.byIno.delete(oldest!);
  }

  of(ino: Ino): ContentFacts | undefined {
    return this.byIno.get(ino);
  }
}

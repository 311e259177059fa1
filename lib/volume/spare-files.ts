// spare-files.ts — local files that new files of the volume are written to, and that are used again: making and removing one costs
// more than writing 4 KiB to it.
// Invariant: a file that is handed out is empty, and nobody else has it open or mapped. It is handed out again only when the intent
// log says that it was given back, and never once its bytes were synced as those of an inode: after power loss the log may end before
// that record, and the file would have to be what it was.

import { join } from 'node:path';
import type { ObjectSource } from '../chunks/object-store.js';
import { WorkingCopy } from '../chunks/working-copy.js';

/** As many as are likely to be open at once; each takes a descriptor. */
const MAX_IDLE = 8;

export class SpareFiles {
  private readonly empty: WorkingCopy[] = [];
  /** Still with the bytes that they served for. */
  private readonly used: WorkingCopy[] = [];
  private made = 0;

  /** @param unique part of a name, which no earlier run of the daemon gave */
  constructor(
    private readonly directory: string,
    private readonly objects: ObjectSource,
    private readonly unique: () => number,
  ) {}

  /** An empty file. ENOSPC, ENFILE. */
  take(): WorkingCopy {
    if (this.empty.length === 0) this.emptyOne();
    const name = (): string => `spare-${this.unique().toString(36)}-${this.made++}`;
    return this.empty.pop() ?? WorkingCopy.ofNothing(join(this.directory, name()), this.objects);
  }

  /** The caller gives the content up, and the log says so. `isUsed`: something was written. */
  giveBack(content: WorkingCopy, isUsed: boolean): void {
    if (this.empty.length + this.used.length >= MAX_IDLE) content.remove();
    else (isUsed ? this.used : this.empty).push(content);
  }

  /** Prepares a file that was used, some microseconds' work; false when there is none. */
  emptyOne(): boolean {
    const content = this.used.pop();
    if (!content) return false;
    content.empty();
    this.empty.push(content);
    return true;
  }

  close(): void {
    for (const content of [...this.empty.splice(0), ...this.used.splice(0)]) content.remove();
  }
}

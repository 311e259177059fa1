// kept-copies.ts — local files of large versions that were just written here, kept so that the next open needs no chunk.
// Invariant: a kept copy holds exactly the bytes of the version it is kept under. It is a cache: dropping one loses nothing, and a
// restart drops all. What is open stays; the rest is dropped oldest first when it grows too large or the disk runs low.

import { statfsSync } from 'node:fs';
import type { Ino, ObjectId } from '../crdt/ids.js';
import type { WorkingCopy } from '../chunks/working-copy.js';
import { SECTOR_BYTES } from '../chunks/writable-content.js';

export interface KeptCopy {
  readonly manifestId: ObjectId;
  readonly content: WorkingCopy;
  /** On the disk: holes take nothing. */
  readonly bytes: number;
}

const MAX_COPIES = 128;
const MAX_BYTES = 2 * 2 ** 30;
/** Nothing is kept while the disk has less than this free. */
const MIN_FREE_BYTES = 2 ** 30;

export class KeptCopies {
  /** In order of use, the least recent first. */
  private readonly byIno = new Map<Ino, KeptCopy>();
  private bytes = 0;
  /** Whether the kernel can be given local files to read and write by itself: nothing else has a use for them. */
  passthrough = false;

  constructor(
    private readonly directory: string,
    private readonly isOpen: (ino: Ino) => boolean,
    /** Told of a copy that is kept no longer, its content closed: the local file may go. */
    private readonly dropped: (path: string) => void,
  ) {}

  /** Keeps the content of a version. The caller gives it up. */
  keep(ino: Ino, manifestId: ObjectId, content: WorkingCopy): void {
    this.drop(ino);
    const bytes = content.blocks() * SECTOR_BYTES;
    this.byIno.set(ino, { manifestId, content, bytes });
    this.bytes += bytes;
    this.trim();
  }

  private trim(): void {
    const { bavail, bsize } = statfsSync(this.directory);
    const low = bavail * bsize < MIN_FREE_BYTES;
    for (const ino of this.byIno.keys()) {
      if (!low && this.bytes <= MAX_BYTES && this.byIno.size <= MAX_COPIES) return;
      if (!this.isOpen(ino)) this.drop(ino);
    }
  }

  /** The copy of this version, if it is kept. */
  get(ino: Ino, manifestId: string): KeptCopy | undefined {
    const copy = this.byIno.get(ino);
    if (copy?.manifestId !== manifestId) return undefined;
    this.byIno.delete(ino);
    this.byIno.set(ino, copy);
    return copy;
  }

  /** Gives the content to a draft: it is kept no longer, and its file stays. */
  take(ino: Ino, manifestId: string): WorkingCopy | undefined {
    const copy = this.get(ino, manifestId);
    if (copy) this.forget(ino, copy);
    return copy?.content;
  }

  /** The versions that are kept. */
  *versions(): Generator<ObjectId> {
    for (const { manifestId } of this.byIno.values()) yield manifestId;
  }

  /** Forgets what is kept of an inode, whatever version. */
  drop(ino: Ino): void {
    const copy = this.byIno.get(ino);
    if (!copy) return;
    this.forget(ino, copy);
    copy.content.close();
    this.dropped(copy.content.path);
  }

  /** Forgets what nobody has open. */
  dropClosed(): void {
    for (const ino of this.byIno.keys()) if (!this.isOpen(ino)) this.drop(ino);
  }

  private forget(ino: Ino, copy: KeptCopy): void {
    this.byIno.delete(ino);
    this.bytes -= copy.bytes;
  }

  close(): void {
    for (const ino of this.byIno.keys()) this.drop(ino);
  }
}

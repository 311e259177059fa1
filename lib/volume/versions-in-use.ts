// versions-in-use.ts — the versions of files that this site needs for what is open or written here, whatever the registers say of them.
// Invariant: what is written to a file is laid over what its writer saw, and is beside what others wrote meanwhile; it needs the bytes of
// both until it is a version that registers name, even where others overwrote or removed them.

import { parseHead } from '../crdt/fields.js';
import type { Ino, ObjectId } from '../crdt/ids.js';
import { WorkingCopy } from '../chunks/working-copy.js';
import type { Core } from './core.js';
import type { KeptCopies } from './kept-copies.js';
import type { OpenFile } from './open-files.js';

/** What a version holds. */
export interface VersionContent {
  readonly manifest: ObjectId;
  /** Bytes. */
  readonly size: number;
}

export class VersionsInUse {
  constructor(
    private readonly core: Core,
    private readonly kept: KeptCopies,
  ) {}

  /** The versions that open files show, and {@link written}. */
  *all(): Generator<ObjectId> {
    yield* this.core.openFiles.versions();
    yield* this.written();
  }

  /** Those that local files are laid over; and what of the {@link bases} and {@link heads} of files that are written is here, or wanted. */
  *written(): Generator<ObjectId> {
    const { objects } = this.core;
    yield* this.kept.versions();
    for (const ino of this.inosWritten())
      for (const { manifest } of [...this.bases(ino), ...this.heads(ino)])
        if (objects.has(manifest) || objects.isWanted(manifest)) yield manifest;
  }

  /** Those of which {@link isWritten} says so. */
  inosWritten(): Set<Ino> {
    const { drafts, openFiles } = this.core;
    const inos = new Set<Ino>();
    for (const { ino } of drafts.all()) inos.add(ino);
    for (const file of openFiles.all()) if (isForWriting(file)) inos.add(file.ino);
    return inos;
  }

  /** Whether there is something written to a file that is no version yet, or a handle to write to it. */
  isWritten(ino: Ino): boolean {
    const { drafts, openFiles } = this.core;
    if (drafts.get(ino)) return true;
    for (const file of openFiles.of(ino)) if (isForWriting(file)) return true;
    return false;
  }

  /** What drafts and handles of a file are laid over, and recovery would begin drafts from; some several times. */
  *bases(ino: Ino): Generator<VersionContent> {
    const draft = this.core.drafts.get(ino);
    if (draft) {
      const { base, content } = draft;
      if (base !== '') yield { manifest: base, size: content.size };
      if (content instanceof WorkingCopy && content.baseId !== undefined)
        yield { manifest: content.baseId, size: content.size };
    }
    for (const file of this.core.openFiles.of(ino)) {
      const { manifestId, size } = file.version;
      if (isForWriting(file) && manifestId !== '') yield { manifest: manifestId, size };
    }
  }

  /** The versions that a file has. One that was removed elsewhere comes back with them once there is a version of what is written here. */
  heads(ino: Ino): VersionContent[] {
    return (this.core.store.inode(ino)?.registers.get('head') ?? []).map(({ value }) => parseHead(value));
  }
}

/** Through a local file all handles write on what the first of them showed. */
function isForWriting({ writable, backed }: OpenFile): boolean {
  return writable || backed;
}

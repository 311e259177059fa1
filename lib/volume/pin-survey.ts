// pin-survey.ts — what is pinned, and what of it is neither here nor asked for. Of one commit; it only reads, on any thread.

import { chunkLengths } from '../chunks/manifest.js';
import { type MissingObject, ObjectKind } from '../chunks/object-kind.js';
import type { Ino, ObjectId } from '../crdt/ids.js';
import { StateSnapshot } from '../journal/state-snapshot.js';
import { filesBelow, versionsOf } from './files-below.js';
import { HeldObjects } from './held-objects.js';
import { shownPath } from './shown-path.js';

export interface PinnedTree {
  readonly ino: Ino;
  /** From the root of the volume; null: it has no name any more. */
  readonly path: string | null;
  readonly files: number;
  /** Of all versions that are shown, and of that what is not here. */
  readonly bytes: number;
  readonly missingBytes: number;
}

export interface PinSurvey {
  readonly trees: readonly PinnedTree[];
  /** Neither held nor wanted. */
  readonly needed: readonly MissingObject[];
}

/** @throws CorruptionError when the state is damaged */
export function surveyPins(stateDirectory: string, pins: readonly Ino[]): PinSurvey {
  const snapshot = StateSnapshot.open(stateDirectory);
  const held = new HeldObjects(snapshot.db, stateDirectory);
  try {
    return new Survey(snapshot, held).run(pins);
  } finally {
    held.close();
    snapshot.close();
  }
}

class Survey {
  private readonly needed: MissingObject[] = [];

  constructor(
    private readonly snapshot: StateSnapshot,
    private readonly held: HeldObjects,
  ) {}

  run(pins: readonly Ino[]): PinSurvey {
    return { trees: pins.map((ino) => this.tree(ino)), needed: this.needed };
  }

  private tree(ino: Ino): PinnedTree {
    const { store, actors } = this.snapshot;
    let files = 0;
    let bytes = 0;
    let missingBytes = 0;
    for (const inode of filesBelow([ino], store)) {
      files++;
      for (const { manifest, size } of versionsOf(inode)) {
        bytes += size;
        missingBytes += this.missingOf(manifest, size);
      }
    }
    return { ino, path: shownPath(ino, store, actors) ?? null, files, bytes, missingBytes };
  }

  private missingOf(id: ObjectId, size: number): number {
    const manifest = this.held.manifest(id);
    if (!manifest) {
      this.need({ id, kind: ObjectKind.manifest, bytes: size });
      return size;
    }
    let absentBytes = 0;
    for (const [chunk, length] of chunkLengths(manifest)) {
      if (this.held.find(chunk)) continue;
      absentBytes += length;
      this.need({ id: chunk, kind: ObjectKind.chunk, bytes: length });
    }
    return absentBytes;
  }

  private need(object: MissingObject): void {
    if (!this.held.isWanted(object.id, object.kind)) this.needed.push(object);
  }
}

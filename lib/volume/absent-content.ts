// absent-content.ts — how much of the content that files show is not here. Of one commit; it only reads, on any thread.
// Chunks of several files count once for each: it is what reading all of them would have to wait for at most.

import { chunkLengths } from '../chunks/manifest.js';
import { type ObjectId, ROOT_INO } from '../crdt/ids.js';
import type { StateSnapshot } from '../journal/state-snapshot.js';
import { filesBelow, versionsOf } from './files-below.js';
import { HeldObjects } from './held-objects.js';

/** Bytes. @throws CorruptionError when the state is damaged */
export function absentBytes(snapshot: StateSnapshot, stateDirectory: string): number {
  const held = new HeldObjects(snapshot.db, stateDirectory);
  try {
    let bytes = 0;
    for (const inode of filesBelow([ROOT_INO], snapshot.store)) {
      for (const { manifest, size } of versionsOf(inode)) bytes += absentOf(held, manifest, size);
    }
    return bytes;
  } finally {
    held.close();
  }
}

/** Of one version. Of a manifest that is not here, all that it may name is not. */
export function absentOf(held: HeldObjects, id: ObjectId, size: number): number {
  const manifest = held.manifest(id);
  if (!manifest) return size;
  let bytes = 0;
  for (const [chunk, length] of chunkLengths(manifest)) if (!held.find(chunk)) bytes += length;
  return bytes;
}

// received-objects.ts — objects that come from peers, on the main thread: verified, packed, made durable, then handed to the site
// thread for ObjectStore.adopt. Invariant: what this returns is on stable storage and is what its ids name. Objects can wait, changes
// cannot: the reserve of the disk is not for them.

import type { ObjectId } from '../crdt/ids.js';
import { CorruptionError } from '../codec/bytes.js';
import { posixError } from '../errno.js';
import { isReserveNeeded } from './disk-reserve.js';
import { fsyncPaths } from './fsync-paths.js';
import { maxObjectBytes, verifyObject } from './object-kind.js';
import type { ObjectKind } from './object-kind.js';
import { PackWriter } from './pack.js';
import type { PackedObject } from './pack.js';

export interface ReceivedObject {
  readonly id: ObjectId;
  readonly kind: ObjectKind;
  readonly bytes: Uint8Array;
}

export class ReceivedObjects {
  private readonly writer: PackWriter;

  /** `directory`: the packs of the site's ObjectStore. */
  constructor(private readonly directory: string) {
    this.writer = new PackWriter(directory, 'peer');
  }

  /**
   * Stores a batch. Resolves when it is durable. CorruptionError naming the id when the bytes of one are not what it names, or too
   * many: then nothing of the batch is stored. ENOSPC, also when the disk's reserve would be needed, EIO: nothing of it must be adopted.
   */
  async store(objects: readonly ReceivedObject[]): Promise<PackedObject[]> {
    for (const { id, kind, bytes } of objects) {
      if (bytes.length > maxObjectBytes(kind)) {
        throw new CorruptionError(`object ${id}: ${bytes.length} bytes, at most ${maxObjectBytes(kind)} are allowed`);
      }
      verifyObject(id, bytes, 'a peer');
    }
    const sizeBytes = objects.reduce((sum, { bytes }) => sum + bytes.length, 0);
    if (isReserveNeeded(this.directory, sizeBytes)) throw posixError('ENOSPC');
    const packed = objects.map(({ id, kind, bytes }) => this.writer.append(kind, id, bytes));
    await fsyncPaths(this.writer.takeUnsynced());
    return packed;
  }

  /** What comes from now on goes to a new pack. EIO. */
  seal(): void {
    this.writer.seal();
  }

  close(): void {
    this.writer.close();
  }
}

// received-objects.ts — objects that come from peers, on the main thread: verified, packed, made durable, then handed to the site
// thread for ObjectStore.adopt. Invariant: what this returns is on stable storage and is what its ids name. Objects can wait, changes
// cannot: the reserve of the disk is not for them.

import type { ObjectId } from '../crdt/ids.js';
import { CorruptionError } from '../codec/bytes.js';
import { posixError } from '../errno.js';
import { isReserveNeeded } from '../disk-reserve.js';
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

/** What is written together. */
interface Group {
  readonly objects: ReceivedObject[];
  readonly packed: Promise<PackedObject[]>;
}

export class ReceivedObjects {
  private readonly writer: PackWriter;
  /** Comes to be written when what is being written is done; until then others join it. */
  private nextGroup: Group | null = null;
  /** Whatever is done with the writer is done in turn. */
  private lastUse: Promise<unknown> = Promise.resolve();
  private nextSync: Promise<void> | null = null;
  private lastSync: Promise<void> = Promise.resolve();

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
    const group = (this.nextGroup ??= this.begin());
    const first = group.objects.length;
    group.objects.push(...objects);
    const packed = await group.packed;
    await this.synced();
    return packed.slice(first, first + objects.length);
  }

  private begin(): Group {
    const objects: ReceivedObject[] = [];
    const packed = this.inTurn(() => {
      if (this.nextGroup?.objects === objects) this.nextGroup = null;
      return this.writer.appendAll(objects);
    });
    return { objects, packed };
  }

  /** Resolves when all that was written is on stable storage. While one sync runs, all that comes waits for the next. */
  private synced(): Promise<void> {
    this.nextSync ??= this.lastSync.then(() => {
      this.nextSync = null;
      const sync = fsyncPaths(this.writer.takeUnsynced()).catch(async (error: unknown) => {
        // Whatever the disk has of this pack, nothing is built on it.
        await this.seal();
        throw error;
      });
      this.lastSync = sync.catch(() => {}); // whoever waits for it hears of it
      return sync;
    });
    return this.nextSync;
  }

  private inTurn<T>(use: () => T | Promise<T>): Promise<T> {
    const done = this.lastUse.then(use);
    this.lastUse = done.catch(() => {}); // likewise
    return done;
  }

  /** What comes from now on goes to a new pack. Rejects with EIO. */
  seal(): Promise<void> {
    this.nextGroup = null;
    return this.inTurn(() => this.writer.seal());
  }

  /** Nothing is written any more when it resolves. */
  async close(): Promise<void> {
    await this.inTurn(() => {});
    await this.lastSync;
    this.writer.close();
  }
}

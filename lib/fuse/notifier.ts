// notifier.ts — tells the kernel what to forget, through another thread.
// The kernel may block the writer of a notice on an inode lock whose holder waits for the serving thread's reply; so that thread only
// collects notices, and notifier-thread.ts writes them. Invariant: they are written in the order in which they were given, and the
// descriptor is not closed while one may still be written.

import { Worker } from 'node:worker_threads';

import { ByteWriter } from '../codec/bytes.js';
import type { Ino, Name } from '../crdt/ids.js';
import type { KernelCache } from '../volume/ports.js';
import type { DriverLog } from './driver-log.js';
import { entryDeletedNotice, invalidateEntryNotice, invalidateInodeNotice } from './notices.js';

/** Places in the memory that both threads see. */
export const SHARED = { WRITTEN_BATCHES: 0, FAILURES: 1, LAST_ERRNO: 2, ENDED: 3, LENGTH: 4 } as const;

/** What the thread is started with. */
export interface NotifierStart {
  readonly fd: number;
  readonly shared: Int32Array;
}

/** A batch is handed over when it has grown to this, even if the serving thread stays busy. */
const BATCH_BYTES = 64 * 1024;

export class Notifier implements KernelCache {
  private readonly shared = new Int32Array(new SharedArrayBuffer(SHARED.LENGTH * Int32Array.BYTES_PER_ELEMENT));
  private readonly worker: Worker;
  private readonly log: DriverLog;
  private readonly batch = new ByteWriter(4096);
  /** Directories whose listing changed in this batch. */
  private readonly listings = new Set<Ino>();
  private handedOver = 0;
  private reportedFailures = 0;

  constructor(fd: number, log: DriverLog) {
    this.log = log;
    const start: NotifierStart = { fd, shared: this.shared };
    this.worker = new Worker(new URL('notifier-thread.js', import.meta.url), { workerData: start });
    this.worker.on('error', (error) =>
      log.error({ err: error }, 'the thread that writes notices to the kernel failed'),
    );
    this.worker.unref();
  }

  invalidateEntry(parent: Ino, name: Name): void {
    this.add(invalidateEntryNotice(parent, name));
    this.listings.add(parent);
  }

  entryDeleted(parent: Ino, name: Name, child: Ino): void {
    this.add(entryDeletedNotice(parent, name, child));
    this.listings.add(parent);
  }

  invalidateInode(ino: Ino, content: boolean): void {
    this.add(invalidateInodeNotice(ino, content));
  }

  private add(notice: Buffer): void {
    this.batch.raw(notice);
    if (this.batch.length >= BATCH_BYTES) this.flush();
  }

  /** Hands over what was collected. Cheap when that is nothing: call it before the serving thread sleeps. */
  flush(): void {
    // The kernel drops a cached listing by itself only when it knows the name that changed; a name that is new to it says nothing.
    for (const directory of this.listings) this.batch.raw(invalidateInodeNotice(directory, true));
    this.listings.clear();
    if (this.batch.length > 0) {
      const bytes = new Uint8Array(this.batch.view());
      this.batch.reset();
      this.handedOver = (this.handedOver + 1) | 0;
      this.worker.postMessage(bytes, [bytes.buffer]);
    }
    this.reportFailures();
  }

  /** True when the kernel has taken all notices given so far. */
  get settled(): boolean {
    return (
      this.batch.length === 0 &&
      this.listings.size === 0 &&
      Atomics.load(this.shared, SHARED.WRITTEN_BATCHES) === this.handedOver
    );
  }

  /** Ends the thread, waiting up to `timeoutMs` for the notices under way; false when it did not end: do not close its descriptor then. */
  close(timeoutMs: number): boolean {
    this.flush();
    this.worker.postMessage(null);
    Atomics.wait(this.shared, SHARED.ENDED, 0, timeoutMs);
    this.reportFailures();
    return Atomics.load(this.shared, SHARED.ENDED) === 1;
  }

  private reportFailures(): void {
    const failures = Atomics.load(this.shared, SHARED.FAILURES);
    if (failures === this.reportedFailures) return;
    const errno = Atomics.load(this.shared, SHARED.LAST_ERRNO);
    this.log.warn(
      { failures: failures - this.reportedFailures, errno },
      'the kernel refused to forget what it had cached',
    );
    this.reportedFailures = failures;
  }
}

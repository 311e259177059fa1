// ports.ts — what a volume asks of the layers above it. They implement these; the volume never imports them.

import type { IngestJob } from '../chunks/ingest.js';
import type { Ino, Name } from '../crdt/ids.js';
import type { Timestamp } from '../crdt/inode.js';

/** The kernel's caches, implemented by lib/fuse. Calls return at once: notices are written by another thread, because the kernel
 * may block their writer on an inode lock whose holder waits for a reply of the thread that calls here. */
export interface KernelCache {
  /** (parent, name) resolves to something else now. */
  invalidateEntry(parent: Ino, name: Name): void;
  /** The child was removed: like invalidateEntry, but an inotify watch sees the removal too. */
  entryDeleted(parent: Ino, name: Name, child: Ino): void;
  /** Attributes changed; with `content` the cached pages are dropped too. */
  invalidateInode(ino: Ino, content: boolean): void;
}

/** Workers that turn working copies into versions, implemented by lib/daemon. Returns at once; the answer comes as
 * Arrivals.ingested or Arrivals.ingestFailed. */
export interface Ingester {
  ingest(job: IngestJob): void;
}

/** Time as the volume sees it; the simulator brings its own. */
export interface VolumeClock {
  /** Wall clock, microseconds since 1970. */
  nowUs(): number;
  /** Wall clock for file times. */
  now(): Timestamp;
  /** Never goes back; milliseconds. */
  monotonicMs(): number;
}

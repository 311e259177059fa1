// access-times.ts — atime as reading moves it, as relatime of mount(8) does: only when the file changed since, or after a day.
// Held in memory, for reading must cost no write: an inode's own atime, in the database, is the one at its last change. What is here
// is written there when the volume is closed; after a crash, or beyond so many files, the older time shows again.

import type { Ino } from '../crdt/ids.js';
import type { Inode, Timestamp } from '../crdt/inode.js';

const FILES_REMEMBERED = 65_536;
const DAY_S = 86_400;

function isAfter(a: Timestamp, b: Timestamp): boolean {
  return a.s > b.s || (a.s === b.s && a.ns > b.ns);
}

export class AccessTimes {
  private readonly moved = new Map<Ino, Timestamp>();

  of(inode: Inode): Timestamp {
    return this.moved.get(inode.ino) ?? inode.atime;
  }

  /** Whether reading moves it. `always`: strictatime. */
  moves(inode: Inode, now: Timestamp, always: boolean): boolean {
    const atime = this.of(inode);
    return always || !isAfter(atime, inode.ctime) || now.s - atime.s >= DAY_S;
  }

  /** Somebody read. */
  read(inode: Inode, now: Timestamp, always: boolean): void {
    if (!this.moves(inode, now, always)) return;
    this.moved.delete(inode.ino);
    this.moved.set(inode.ino, now);
    if (this.moved.size <= FILES_REMEMBERED) return;
    for (const oldest of this.moved.keys()) {
      this.moved.delete(oldest);
      break;
    }
  }

  /** The inode's own atime counts from now on. */
  forget(ino: Ino): void {
    this.moved.delete(ino);
  }

  /** Hands over everything that is here, and forgets it. */
  drain(write: (ino: Ino, atime: Timestamp) => void): void {
    for (const [ino, atime] of this.moved) write(ino, atime);
    this.moved.clear();
  }
}

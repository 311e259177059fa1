// failed-sync-mark.ts — says of a state directory that a sync in it failed, also to a process that starts later.
// The system gives up what it could not write and goes on showing it: only who heard of the failure knows that it may not be on the disk
// (lib/file-sync.ts, LastingSync). The mark is not synced itself: as long as it matters the page cache that it lies in is there, too.

import { closeSync, existsSync, openSync, rmSync } from 'node:fs';
import { join } from 'node:path';

function markPath(stateDirectory: string): string {
  return join(stateDirectory, 'sync-failed');
}

/** A sync of something in this state directory failed. Needs no room on the disk; an error of node:fs where it takes no entry either. */
export function markFailedSync(stateDirectory: string): void {
  closeSync(openSync(markPath(stateDirectory), 'a', 0o600));
}

/** Whether one failed since {@link clearFailedSync}. */
export function hasFailedSync(stateDirectory: string): boolean {
  return existsSync(markPath(stateDirectory));
}

/** All that may not have been written was written again. */
export function clearFailedSync(stateDirectory: string): void {
  rmSync(markPath(stateDirectory), { force: true });
}

// failed-sync-mark.ts — says of a state directory that a sync in it failed, also to a process that starts later.
// The system gives up what it could not write and goes on showing it: only who heard of the failure knows that it may not be on the disk
// (lib/file-sync.ts, LastingSync). The mark is not synced itself: as long as it matters the page cache that it lies in is there, too.
// From the first start on the file is there, and has its block: a disk that fails may be one that is full.

import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Its name in the state directory. */
export const FAILED_SYNC_MARK = 'sync.mark';

const FAILED = 'failed\n';
const SOUND = 'sound \n';

function markPath(stateDirectory: string): string {
  return join(stateDirectory, FAILED_SYNC_MARK);
}

/** A sync of something in this state directory failed. */
export function markFailedSync(stateDirectory: string): void {
  try {
    writeInPlace(stateDirectory, FAILED);
  } catch {
    // A filesystem that does not take this takes nothing until it is mounted anew, and then shows what is on the disk.
  }
}

/** Whether one failed since {@link clearFailedSync}. */
export function hasFailedSync(stateDirectory: string): boolean {
  try {
    return readFileSync(markPath(stateDirectory), 'latin1') === FAILED;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw error;
  }
}

/** All that may not have been written was written again. */
export function clearFailedSync(stateDirectory: string): void {
  writeInPlace(stateDirectory, SOUND);
}

function writeInPlace(stateDirectory: string, text: string): void {
  const path = markPath(stateDirectory);
  writeFileSync(path, text, { flag: existsSync(path) ? 'r+' : 'w', mode: 0o600 });
}

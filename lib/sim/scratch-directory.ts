// scratch-directory.ts — where simulated disks are: in memory where the system has a place for that, and gone afterwards.
// Threads get directories below that of the process: nothing runs at the exit of one that an exception ends.

import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const MEMORY = '/dev/shm';

/** How the names of this process's directories begin. */
export function scratchPrefix(pid: number): string {
  return `weft-sim-${pid}-`;
}

/** Where the directories of processes are. */
export function scratchRoot(): string {
  return existsSync(MEMORY) ? MEMORY : tmpdir();
}

/** A directory for this process, and what removes it. It is removed at exit in any case; a signal that nothing handles is no exit. */
export function scratchDirectory(): { readonly path: string; readonly remove: () => void } {
  const path = mkdtempSync(join(scratchRoot(), scratchPrefix(process.pid)));
  const remove = (): void => {
    process.off('exit', remove);
    rmSync(path, { recursive: true, force: true });
  };
  process.on('exit', remove);
  return { path, remove };
}

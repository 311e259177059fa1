// scratch-directory.ts — where simulated disks are: in memory where the system has a place for that, and gone afterwards.

import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const MEMORY = '/dev/shm';

/** A directory for this process (or thread), and what removes it. It is removed at exit in any case. */
export function scratchDirectory(): { readonly path: string; readonly remove: () => void } {
  const path = mkdtempSync(join(existsSync(MEMORY) ? MEMORY : tmpdir(), 'weft-sim-'));
  const remove = (): void => {
    process.off('exit', remove);
    rmSync(path, { recursive: true, force: true });
  };
  process.on('exit', remove);
  return { path, remove };
}

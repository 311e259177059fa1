// fsync-paths.ts — makes files (and directories) durable without blocking the event loop: the other half of takeUnsynced().

import { open } from 'node:fs/promises';
import { errnoOf, posixError } from '../errno.js';

/** fsync(2) of every path. EIO, ENOSPC: what was written since the last success may be lost. */
export async function fsyncPaths(paths: readonly string[]): Promise<void> {
  for (const path of paths) {
    const file = await open(path, 'r').catch(asPosixError);
    try {
      await file.sync().catch(asPosixError);
    } finally {
      await file.close();
    }
  }
}

function asPosixError(error: unknown): never {
  throw posixError(errnoOf(error));
}

// rewriting.ts — a start after a sync failed (lib/failed-sync-mark.ts): what may not be on the disk is written again, before anybody
// builds on it.
// Invariant: nothing is lost by that which reads as it was written, also when power fails meanwhile: each byte goes to where it is.
// SQLite's own file is left out: a checkpoint gives its log up only once that file is synced, and the next one begins with the whole log.

import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { rewriteFile } from '../file-rewriting.js';
import { intentPath } from '../journal/intent-log.js';
import { statePath, walPath } from '../journal/schema.js';
import { localFilesPath } from './drafts.js';

/** To be called before anybody opens the state. The packs are left to ObjectStore.recover: it is in the state which of them are meant. */
export function rewriteState(directory: string): void {
  const files = [
    walPath(statePath(directory)),
    ...filesOf(intentPath(directory)).filter((path) => path.endsWith('.seg')),
    ...filesOf(localFilesPath(directory)),
  ];
  for (const path of files) if (existsSync(path)) rewriteFile(path);
}

function filesOf(directory: string): string[] {
  if (!existsSync(directory)) return [];
  return readdirSync(directory).map((name) => join(directory, name));
}

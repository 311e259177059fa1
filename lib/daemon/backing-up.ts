// backing-up.ts — runs the thread of a backup (backup-thread.ts) and waits for it.

import { Worker } from 'node:worker_threads';
import type { BackupReport } from './site-backup.js';

/** See takeBackup of site-backup.ts. Rejects with what went wrong. */
export function backUp(stateDirectory: string, target: string, time: string): Promise<BackupReport> {
  return new Promise((resolve, reject) => {
    const workerData = { stateDirectory, target, time };
    const worker = new Worker(new URL('backup-thread.js', import.meta.url), { workerData });
    worker.once('message', resolve);
    worker.once('error', reject);
    worker.once('exit', (code) => reject(new Error(`the thread of the backup ended with code ${code}`)));
  });
}

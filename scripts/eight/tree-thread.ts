// tree-thread.ts — reads a whole mounted tree on a thread of its own: who waits for it goes on with other things meanwhile.

import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { snapshotTree, type TreeSnapshot } from '../sites/tree-snapshot.js';

export function readTree(root: string): Promise<TreeSnapshot> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL(import.meta.url), { workerData: { root } });
    worker.once('message', resolve);
    worker.once('error', reject);
    worker.once('exit', (code) => reject(new Error(`the thread that reads ${root} ended with code ${code}`)));
  });
}

if (!isMainThread) parentPort!.postMessage(snapshotTree((workerData as { root: string }).root));

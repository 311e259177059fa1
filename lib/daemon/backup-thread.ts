// backup-thread.ts — takes one backup and ends; see site-backup.ts. The site goes on meanwhile.

import { parentPort, workerData } from 'node:worker_threads';
import { takeBackup } from './site-backup.js';

const { stateDirectory, target, time } = workerData as { stateDirectory: string; target: string; time: string };

parentPort!.postMessage(await takeBackup(stateDirectory, target, time));

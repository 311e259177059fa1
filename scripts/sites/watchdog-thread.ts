// watchdog-thread.ts — the thread behind watchdog.ts: looks at the clock, kills what it was told to watch.

import { parentPort, workerData } from 'node:worker_threads';
import { signalProcess } from './processes.js';
import type { WatchMessage, WatchOrders } from './watchdog.js';

const { lastBeat, stuckAfterMs } = workerData as WatchOrders;
const watched = new Set<number>();

parentPort!.on('message', (message: WatchMessage) => {
  if ('watch' in message) watched.add(message.watch);
  else watched.delete(message.unwatch);
});

setInterval(() => {
  const silentMs = Date.now() - Number(Atomics.load(lastBeat, 0));
  if (silentMs < stuckAfterMs || watched.size === 0) return;
  for (const pid of watched) signalProcess(pid, 'SIGKILL');
  watched.clear();
}, 250);

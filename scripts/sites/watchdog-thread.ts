// watchdog-thread.ts — the thread behind watchdog.ts: counts the beats, says where everyone hangs, kills what it was told to watch.

import { readdirSync, readFileSync, writeSync } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';
import { signalProcess } from './processes.js';
import type { WatchMessage, WatchOrders } from './watchdog.js';

const { beats, stuckAfterMs } = workerData as WatchOrders;
const TURN_MS = 250;
const watched = new Set<number>();
let lastBeat = 0;
let silentMs = 0;

parentPort!.on('message', (message: WatchMessage) => {
  if ('watch' in message) watched.add(message.watch);
  else watched.delete(message.unwatch);
});

setInterval(() => {
  const beat = Atomics.load(beats, 0);
  silentMs = beat === lastBeat ? silentMs + TURN_MS : 0;
  lastBeat = beat;
  if (silentMs < stuckAfterMs || watched.size === 0) return;
  // Not console.error: that goes through the main thread.
  writeSync(2, `stuck in a system call for ${silentMs / 1000} s; ending ${[...watched].join(', ')}\n`);
  for (const pid of [process.pid, ...watched]) writeSync(2, threadStacks(pid));
  for (const pid of watched) signalProcess(pid, 'SIGKILL');
  watched.clear();
}, TURN_MS);

/** What the threads of a process wait for in the kernel (proc_pid_stack(5), root only), those that merely sleep left out. */
function threadStacks(pid: number): string {
  const lines: string[] = [];
  for (const thread of listed(`/proc/${pid}/task`)) {
    const stack = read(`/proc/${pid}/task/${thread}/stack`)
      .split('\n')
      .map((line) => /\] (\w+)/.exec(line)?.[1] ?? '')
      .filter((name) => name !== '')
      .slice(0, 8);
    if (/^(futex_|ep_poll|do_epoll|hrtimer_nanosleep)/.test(stack[0] ?? 'futex_')) continue;
    lines.push(`  ${pid}/${thread} ${read(`/proc/${pid}/task/${thread}/comm`).trim()}: ${stack.join(' < ')}\n`);
  }
  return lines.join('');
}

/** Empty when there is none any more. */
function listed(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}

/** Empty when it may not be read, or is gone. */
function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

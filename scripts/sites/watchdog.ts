// watchdog.ts — ends daemons when the main thread is stuck in a system call on their mounts.
// Once its daemon is dead the kernel fails the call (ENOTCONN), the main thread goes on, and reports and cleans up as usual.
// The main thread shows that it lives by a timer of its own; so only a blocked thread counts as stuck, not a long wait.

import { Worker } from 'node:worker_threads';

const STUCK_AFTER_MS = 45_000;
const BEAT_MS = 500;

/** What the watching thread gets: the time of the last beat in shared memory. */
export interface WatchOrders {
  readonly lastBeat: BigInt64Array;
  readonly stuckAfterMs: number;
}

export type WatchMessage = { readonly watch: number } | { readonly unwatch: number };

export class Watchdog {
  private readonly lastBeat = new BigInt64Array(new SharedArrayBuffer(8));
  private readonly timer: NodeJS.Timeout;
  private readonly worker: Worker;

  constructor(stuckAfterMs = STUCK_AFTER_MS) {
    this.beat();
    this.timer = setInterval(() => this.beat(), BEAT_MS);
    this.timer.unref();
    const orders: WatchOrders = { lastBeat: this.lastBeat, stuckAfterMs };
    this.worker = new Worker(new URL('./watchdog-thread.js', import.meta.url), { workerData: orders });
    this.worker.unref();
  }

  /** From now on this process is ended when the main thread is stuck. */
  watch(pid: number): void {
    this.worker.postMessage({ watch: pid } satisfies WatchMessage);
  }

  unwatch(pid: number): void {
    this.worker.postMessage({ unwatch: pid } satisfies WatchMessage);
  }

  async close(): Promise<void> {
    clearInterval(this.timer);
    await this.worker.terminate();
  }

  private beat(): void {
    Atomics.store(this.lastBeat, 0, BigInt(Date.now()));
  }
}

// watchdog.ts — ends daemons when the main thread is stuck in a system call on their mounts.
// Once its daemon is dead the kernel fails the call (ENOTCONN), the main thread goes on, and reports and cleans up as usual.
// The main thread shows that it lives by a timer of its own; so only a blocked thread counts as stuck, not a long wait. The watching
// thread counts its own turns and no clock: a machine that was suspended for an hour is not stuck for an hour.

import { Worker } from 'node:worker_threads';

const STUCK_AFTER_MS = 45_000;
const BEAT_MS = 500;

/** What the watching thread gets: a count in shared memory that grows while the main thread lives. */
export interface WatchOrders {
  readonly beats: Int32Array;
  readonly stuckAfterMs: number;
}

export type WatchMessage = { readonly watch: number } | { readonly unwatch: number };

export class Watchdog {
  private readonly beats = new Int32Array(new SharedArrayBuffer(4));
  private readonly timer: NodeJS.Timeout;
  private readonly worker: Worker;

  constructor(stuckAfterMs = STUCK_AFTER_MS) {
    this.timer = setInterval(() => Atomics.add(this.beats, 0, 1), BEAT_MS);
    this.timer.unref();
    const orders: WatchOrders = { beats: this.beats, stuckAfterMs };
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
}

// history-client.ts — the main thread's side of the history thread: starts it when something is asked, ends it when nothing was for long.
// Invariant: every request is answered or rejected, also when the thread ends before its answer.

import { Worker } from 'node:worker_threads';
import type { FromHistory, HistoryRequestName, HistoryRequests, HistoryThreadData } from './history-requests.js';

/** What it remembers is bounded by its caches, well below this. */
const HEAP_LIMITS = { maxOldGenerationSizeMb: 1024 };
const IDLE_MS = 60_000;

interface Pending {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
}

export class HistoryClient {
  private worker: Worker | null = null;
  private readonly pending = new Map<number, Pending>();
  private nextId = 1;
  private idle: NodeJS.Timeout | null = null;

  constructor(private readonly stateDirectory: string) {}

  request<N extends HistoryRequestName>(
    name: N,
    args: HistoryRequests[N]['args'],
  ): Promise<HistoryRequests[N]['reply']> {
    const worker = (this.worker ??= this.start());
    if (this.idle) clearTimeout(this.idle);
    this.idle = null;
    const id = this.nextId++;
    const answer = new Promise<unknown>((resolve, reject) => this.pending.set(id, { resolve, reject }));
    worker.postMessage({ id, name, args });
    return answer as Promise<HistoryRequests[N]['reply']>;
  }

  async close(): Promise<void> {
    if (this.idle) clearTimeout(this.idle);
    await this.worker?.terminate();
  }

  private start(): Worker {
    const workerData: HistoryThreadData = { stateDirectory: this.stateDirectory };
    const worker = new Worker(new URL('history-thread.js', import.meta.url), {
      workerData,
      resourceLimits: HEAP_LIMITS,
    });
    let reason = 'the history thread ended';
    worker.on('message', (message: FromHistory) => this.take(message));
    worker.on('error', (error) => (reason = error.message));
    worker.on('exit', () => {
      if (this.worker !== worker) return;
      this.worker = null;
      for (const { reject } of this.pending.values()) reject(new Error(reason));
      this.pending.clear();
    });
    return worker;
  }

  private take(message: FromHistory): void {
    const pending = this.pending.get(message.id);
    this.pending.delete(message.id);
    if ('error' in message) pending?.reject(new Error(message.error));
    else pending?.resolve(message.value);
    if (this.pending.size === 0) this.idle = setTimeout(() => this.rest(), IDLE_MS).unref();
  }

  private rest(): void {
    const { worker } = this;
    this.worker = null;
    void worker?.terminate();
  }
}

// memory-mount.test-support.ts — mounts a MemoryFileSystem in a worker thread, for tests that use the mount through system calls.
// Mounts that a test leaves behind are taken down when the process ends, however it ends.

import { mkdtempSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MessageChannel, type MessagePort, Worker } from 'node:worker_threads';

import { unmountKernel } from './mount.js';
import { mountAt } from './mount-table.js';
import { MNT_DETACH, unmountNow } from './system-calls.js';
import { closeWake, signalWake } from './wake.js';

/** What a test asks of the serving thread. */
export type Order =
  | { readonly kind: 'mkfile'; readonly parent: number; readonly name: string; readonly text: string }
  | { readonly kind: 'mkfile unannounced'; readonly parent: number; readonly name: string; readonly text: string }
  | { readonly kind: 'remove'; readonly parent: number; readonly name: string }
  | { readonly kind: 'overwrite'; readonly ino: number; readonly text: string; readonly announce: boolean }
  | { readonly kind: 'arrive' | 'never'; readonly ids: string[] }
  | { readonly kind: 'counts' }
  | { readonly kind: 'parked' }
  | { readonly kind: 'drain' }
  | { readonly kind: 'settled' }
  | { readonly kind: 'stop' }
  /** Background work without end, from now on, with so many milliseconds of rest between two slices. */
  | { readonly kind: 'work'; readonly restMs: number }
  /** No background work any more. The answer: how many slices there were, and how many of them were cut short. */
  | { readonly kind: 'rest' }
  | { readonly kind: 'many'; readonly directory: string; readonly count: number };

/** Files of at least `leastBytes` are to lie in local files in `directory`. */
export interface Backed {
  readonly directory: string;
  readonly leastBytes: number;
}

export interface ThreadStart {
  readonly mountpoint: string;
  readonly options: readonly string[];
  readonly backed: Backed | undefined;
  readonly orders: MessagePort;
}

export interface ThreadReady {
  readonly wakeFd: number;
  readonly error?: string;
}

export interface Answer {
  readonly value: unknown;
}

const UNMOUNT_RETRY_MS = 20;
const MAX_UNMOUNT_TRIES = 100;

const alive = new Set<MemoryMount>();

process.once('exit', () => {
  for (const mount of alive) mount.takeDown();
});

export class MemoryMount {
  readonly path: string;
  /** The directory was made for this mount, and goes with it. */
  private readonly temporary: boolean;
  private readonly worker: Worker;
  private readonly orders: MessagePort;
  /** Of the serving thread, good until {@link release}. */
  readonly wakeFd: number;
  /** Orders are answered one after the other. */
  private readonly waiting: ((value: unknown) => void)[] = [];
  /** Resolves when the serving thread has ended, to its exit code. */
  readonly ended: Promise<number>;

  private constructor(path: string, temporary: boolean, worker: Worker, orders: MessagePort, wakeFd: number) {
    this.path = path;
    this.temporary = temporary;
    this.worker = worker;
    this.orders = orders;
    this.wakeFd = wakeFd;
    this.ended = new Promise((resolve) => worker.once('exit', resolve));
    void this.ended.then(() => alive.delete(this));
    orders.on('message', (answer: Answer) => this.waiting.shift()!(answer.value));
    alive.add(this);
  }

  /** Mounts on a new directory, or on `mountpoint`. */
  static async start(options: readonly string[] = [], mountpoint?: string, backed?: Backed): Promise<MemoryMount> {
    const path = mountpoint ?? mkdtempSync(join(tmpdir(), 'weft-fuse-'));
    const { port1, port2 } = new MessageChannel();
    const start: ThreadStart = { mountpoint: path, options, backed, orders: port2 };
    const worker = new Worker(new URL('memory-mount-thread.test-support.js', import.meta.url), {
      workerData: start,
      transferList: [port2],
    });
    const ready = await new Promise<ThreadReady>((resolve, reject) => {
      worker.once('error', reject);
      port1.once('message', resolve);
    });
    if (ready.error !== undefined) {
      port1.close();
      if (mountpoint === undefined) rmdirSync(path);
      throw new Error(ready.error);
    }
    return new MemoryMount(path, mountpoint === undefined, worker, port1, ready.wakeFd);
  }

  /** Has the serving thread do something between requests. */
  order(order: Order): Promise<unknown> {
    const answer = new Promise<unknown>((resolve) => this.waiting.push(resolve));
    this.orders.postMessage(order);
    signalWake(this.wakeFd);
    return answer;
  }

  /** Waits until the kernel has taken all invalidations. */
  async settle(): Promise<void> {
    while (!(await this.order({ kind: 'settled' }))) await new Promise((resolve) => setTimeout(resolve, 1));
  }

  async unmount(): Promise<void> {
    await this.end();
    this.release();
  }

  /** Unmounts, once the processes that a test ended have let go of the mount, and waits for the end of the serving thread. */
  async end(): Promise<void> {
    for (let tries = 0; ; tries++) {
      const error: unknown = await unmountKernel(this.path, false).catch((reason: unknown) => reason);
      if (error === undefined) break;
      if (tries === MAX_UNMOUNT_TRIES) {
        this.takeDown();
        throw error;
      }
      await new Promise((resolve) => setTimeout(resolve, UNMOUNT_RETRY_MS));
    }
    await this.ended;
  }

  /** Gives back what is left after {@link end}. */
  release(): void {
    closeWake(this.wakeFd);
    this.orders.close();
    if (this.temporary) rmdirSync(this.path);
  }

  /** Whether it is mounted, by the mount table. */
  get mounted(): boolean {
    return mountAt(this.path) !== undefined;
  }

  /** In the exit handler: nothing asynchronous. */
  takeDown(): void {
    this.orders.postMessage({ kind: 'stop' } satisfies Order);
    signalWake(this.wakeFd);
    if (this.mounted) unmountNow(this.path, MNT_DETACH);
    void this.worker.terminate();
    if (this.temporary) rmdirSync(this.path);
  }
}

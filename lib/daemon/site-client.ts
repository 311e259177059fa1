// site-client.ts — the main thread's side of the message port: starts the site thread, asks it, hears from it.
// Invariant: every request is answered or rejected, also when the thread ends before its answer.

import { setFlagsFromString } from 'node:v8';
import { Worker } from 'node:worker_threads';
import { closeWake, signalWake } from '../fuse/wake.js';
import { SiteEnded } from './site-ended.js';
import type { Log } from './daemon-interface.js';
import type { FromSite, RequestName, Requests, SiteThreadData, ToSite } from './thread-protocol.js';

/**
 * What the site thread holds in its heap is bounded by its caches, some 60 MB; without a limit the collector lets garbage grow to
 * several times that before it works.
 */
const HEAP_LIMITS = { maxOldGenerationSizeMb: 256, maxYoungGenerationSizeMb: 64 };

/**
 * While a tree is filled, most of what an operation makes stays, in caches, and V8 comes to put objects made at these places into the
 * old generation at once. It goes on when they are garbage within microseconds, as while a tree is removed: there they keep what they
 * refer to until the old generation is collected. Removing a file took a fifth longer.
 */
const HEAP_FLAGS = '--no-allocation-site-pretenuring';

interface Pending {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
}

/** What the site thread says on its own, also before {@link SiteClient.start} resolves: who has an answer gets `site` for it. */
export interface SiteListener {
  committed(message: Extract<FromSite, { type: 'committed' }>): void;
  ingest(message: Extract<FromSite, { type: 'ingest' }>, site: SiteClient): void;
  needed(message: Extract<FromSite, { type: 'needed' }>): void;
  ahead(message: Extract<FromSite, { type: 'ahead' }>): void;
  asked(message: Extract<FromSite, { type: 'asked' }>, site: SiteClient): void;
  unused(message: Extract<FromSite, { type: 'unused' }>): void;
  slot(message: Extract<FromSite, { type: 'slot' }>): void;
  quarantined(message: Extract<FromSite, { type: 'quarantined' }>): void;
}

export class SiteClient {
  /** Settles when the thread has ended: with what went wrong, or null after an unmount. */
  readonly ended: Promise<string | null>;
  private readonly worker: Worker;
  private readonly pending = new Map<number, Pending>();
  private nextId = 1;
  private wakeFd: number | null = null;
  private endedWith: string | null | undefined;

  private constructor(
    data: SiteThreadData,
    private readonly listener: SiteListener,
    private readonly log: Log,
    ready: (error: Error | null) => void,
  ) {
    setFlagsFromString(HEAP_FLAGS);
    this.worker = new Worker(new URL('site-thread.js', import.meta.url), {
      workerData: data,
      resourceLimits: HEAP_LIMITS,
    });
    this.worker.on('message', (message: FromSite) => this.take(message, ready));
    this.ended = new Promise((resolve) => {
      this.worker.on('error', (error) => {
        this.log.error({ err: error }, 'the site thread failed');
        this.endedWith ??= error.message;
      });
      this.worker.on('exit', (code) => {
        this.forgetWake();
        if (code !== 0) this.endedWith ??= `the site thread ended with code ${code}`;
        const reason = this.endedWith ?? null;
        ready(new Error(reason ?? 'the site thread ended before it was ready'));
        for (const { reject } of this.pending.values())
          reject(new SiteEnded(reason ?? 'the site is no longer mounted'));
        this.pending.clear();
        resolve(reason);
      });
    });
  }

  /** Resolves when the thread has recovered the state and, if asked to, mounted it. Rejects with the reason why it could not. */
  static async start(data: SiteThreadData, listener: SiteListener, log: Log): Promise<SiteClient> {
    return new Promise((resolve, reject) => {
      const client: SiteClient = new SiteClient(data, listener, log, (error) =>
        error ? reject(error) : resolve(client),
      );
    });
  }

  request<N extends RequestName>(name: N, args: Requests[N]['args']): Promise<Requests[N]['reply']> {
    if (this.endedWith !== undefined)
      return Promise.reject(new SiteEnded(this.endedWith ?? 'the site is no longer mounted'));
    const id = this.nextId++;
    const answer = new Promise<unknown>((resolve, reject) => this.pending.set(id, { resolve, reject }));
    this.send({ type: 'request', id, name, args } as ToSite);
    return answer as Promise<Requests[N]['reply']>;
  }

  send(message: ToSite): void {
    this.worker.postMessage(message);
    if (this.wakeFd !== null) signalWake(this.wakeFd);
  }

  private take(message: FromSite, ready: (error: Error | null) => void): void {
    switch (message.type) {
      case 'ready':
        this.wakeFd = message.wakeFd;
        if (message.wakeFd !== null) signalWake(message.wakeFd); // something may have been sent before
        if (message.replayed > 0)
          this.log.info({ records: message.replayed }, 'recovered what was acknowledged before the last stop');
        ready(null);
        break;
      case 'reply':
        this.settle(message.id)?.resolve(message.value);
        break;
      case 'refused':
        this.settle(message.id)?.reject(new Error(message.error));
        break;
      case 'committed':
        this.listener.committed(message);
        break;
      case 'ingest':
        this.listener.ingest(message, this);
        break;
      case 'ahead':
        this.listener.ahead(message);
        break;
      case 'needed':
        this.listener.needed(message);
        break;
      case 'asked':
        this.listener.asked(message, this);
        break;
      case 'unused':
        this.listener.unused(message);
        break;
      case 'slot':
        this.listener.slot(message);
        break;
      case 'quarantined':
        this.listener.quarantined(message);
        break;
      case 'log':
        this.log[message.level](message.details, message.message);
        break;
      case 'ended':
        this.forgetWake();
        this.endedWith = message.error;
        break;
    }
  }

  /** Nobody sleeps on it any more. */
  private forgetWake(): void {
    if (this.wakeFd !== null) closeWake(this.wakeFd);
    this.wakeFd = null;
  }

  private settle(id: number): Pending | undefined {
    const pending = this.pending.get(id);
    this.pending.delete(id);
    return pending;
  }
}

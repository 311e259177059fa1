// simulated-thread.ts — the port between a site's two threads, over simulated time: the main thread's end, and the site's.
// Invariant: messages arrive in the order in which they were sent, each way, after a delay; none arrives after the process died.

import type { SiteRequests } from '../daemon/site-sync-store.js';
import type { SitePort } from '../daemon/site-server.js';
import type { FromSite, RequestName, Requests, ToSite } from '../daemon/thread-protocol.js';
import type { Random } from './random.js';
import type { Timeline } from './timeline.js';

interface Pending {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
}

/** What the site says on its own. */
export type Notice = Exclude<FromSite, { type: 'reply' | 'refused' | 'log' | 'ready' | 'ended' }>;

const LONGEST_DELAY_MS = 0.5;

export class SimulatedThread implements SitePort, SiteRequests {
  private readonly pending = new Map<number, Pending>();
  private nextId = 1;
  private toSiteMs = 0;
  private fromSiteMs = 0;
  private dead = false;

  constructor(
    private readonly timeline: Timeline,
    private readonly random: Random,
    private readonly site: (message: ToSite) => void,
    private readonly main: (notice: Notice) => void,
  ) {}

  request<N extends RequestName>(name: N, args: Requests[N]['args']): Promise<Requests[N]['reply']> {
    const id = this.nextId++;
    const answer = new Promise<unknown>((resolve, reject) => this.pending.set(id, { resolve, reject }));
    this.send({ type: 'request', id, name, args } as ToSite);
    return answer as Promise<Requests[N]['reply']>;
  }

  send(message: ToSite): void {
    this.toSiteMs = this.inOrder(this.toSiteMs, () => this.site(message));
  }

  postMessage(message: FromSite): void {
    this.fromSiteMs = this.inOrder(this.fromSiteMs, () => this.take(message));
  }

  /** Messages are handed over when they arrive. */
  next(): undefined {
    return undefined;
  }

  /** SIGKILL. What was asked is never answered. */
  kill(): void {
    this.dead = true;
    this.pending.clear();
  }

  private inOrder(lastMs: number, deliver: () => void): number {
    if (this.dead) return lastMs;
    const atMs = Math.max(lastMs, this.timeline.nowMs + this.random.next() * LONGEST_DELAY_MS);
    this.timeline.after(atMs - this.timeline.nowMs, () => {
      if (!this.dead) deliver();
    });
    return atMs;
  }

  private take(message: FromSite): void {
    switch (message.type) {
      case 'reply':
        return this.settle(message.id)?.resolve(message.value);
      case 'refused':
        return this.settle(message.id)?.reject(new Error(message.error));
      case 'log':
      case 'ready':
      case 'ended':
        return;
      default:
        return this.main(message);
    }
  }

  private settle(id: number): Pending | undefined {
    const pending = this.pending.get(id);
    this.pending.delete(id);
    return pending;
  }
}

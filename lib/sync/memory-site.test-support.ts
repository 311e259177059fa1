// memory-site.test-support.ts — a whole site but for its tree, for tests of real links: a Syncer over a MemorySyncStore, on a free port.

import { randomBytes } from 'node:crypto';
import { MemorySyncStore } from './memory-sync-store.test-support.js';
import type { InviteRecord, InviteStore, SyncLog } from './ports.js';
import { Syncer } from './syncer.js';
import type { SyncerOptions } from './syncer-options.js';
import { systemClock, systemRandom } from './system-clock.js';

export const volumeKey = Buffer.alloc(32, 7);

export class MemoryInvites implements InviteStore {
  private readonly invites = new Map<string, InviteRecord>();
  create(invite: InviteRecord): void {
    this.invites.set(invite.id, invite);
  }
  find(id: string): InviteRecord | undefined {
    return this.invites.get(id);
  }
  consume(id: string): boolean {
    const invite = this.invites.get(id);
    if (invite === undefined || invite.used) return false;
    this.invites.set(id, { ...invite, used: true });
    return true;
  }
}

/** Keeps what is logged, for a test to look at. */
export class MemoryLog implements SyncLog {
  readonly lines: string[] = [];
  /** Those of the lines that are kept without `-d`. */
  readonly told: string[] = [];
  debug(details: object, message: string): void {
    this.lines.push(`${message} ${JSON.stringify(details)}`);
  }
  info(details: object, message: string): void {
    this.debug(details, message);
    this.told.push(this.lines.at(-1)!);
  }
  warn(details: object, message: string): void {
    this.info(details, message);
  }
}

export class MemorySite {
  readonly store: MemorySyncStore;
  readonly syncer: Syncer;
  readonly log = new MemoryLog();
  readonly actor = randomBytes(16).toString('hex');
  address = '';

  constructor(
    name: string,
    options: Partial<SyncerOptions> & { siteId?: string; volumeId?: string; slot?: number } = {},
  ) {
    const siteId = options.siteId ?? randomBytes(16).toString('hex');
    this.store = new MemorySyncStore(name, siteId, setImmediate, options);
    this.syncer = new Syncer({
      store: this.store,
      clock: systemClock,
      random: systemRandom,
      log: this.log,
      invites: new MemoryInvites(),
      volumeKey,
      volumeName: 'team',
      listen: '127.0.0.1:0',
      dial: [],
      ...options,
    });
    this.store.onAdvanced = () => this.syncer.advanced();
  }

  /** A started site. */
  static async start(...args: ConstructorParameters<typeof MemorySite>): Promise<MemorySite> {
    const site = new MemorySite(...args);
    site.address = await site.syncer.start();
    return site;
  }

  /** A file of one chunk of so many bytes, committed. */
  write(bytes: number): Promise<void> {
    return this.store.commit(this.actor, [this.store.putFile([randomBytes(bytes)])]);
  }

  peer(name: string) {
    return this.syncer.peers().find(({ site }) => site === name);
  }

  /** Resolves when the condition holds; rejects, saying where things stand, after `withinMs`. */
  async until(what: string, condition: () => boolean, withinMs = 5000): Promise<void> {
    const deadlineMs = performance.now() + withinMs;
    while (!condition()) {
      if (performance.now() > deadlineMs) {
        const status = JSON.stringify(this.syncer.peers(), null, 1);
        throw new Error(
          `${this.store.siteName}: not within ${withinMs} ms: ${what}\n${status}\n${this.log.lines.slice(-10).join('\n')}`,
        );
      }
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
  }

  linked(...names: string[]): Promise<void> {
    return this.until(`linked to ${names.join(', ')}`, () =>
      names.every((name) => this.peer(name)?.state === 'connected'),
    );
  }
}

/** Whether they hold the same. */
export function equal(...sites: MemorySite[]): boolean {
  const [first, ...rest] = sites.map(({ store }) =>
    JSON.stringify([[...store.vector()].toSorted(), [...store.objects.keys()].toSorted()]),
  );
  return rest.every((other) => other === first);
}

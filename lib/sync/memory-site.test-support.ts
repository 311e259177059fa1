// memory-site.test-support.ts — a whole site but for its tree, for tests of real links: a Syncer over a MemorySyncStore, on a free port.

import { randomBytes } from 'node:crypto';
import { type Member, READ_WRITE } from '../crdt/members.js';
import type { MemberStore } from './admission.js';
import { MemorySyncStore } from './memory-sync-store.test-support.js';
import type { InviteRecord, InviteStore, SyncLog } from './ports.js';
import { makeSiteKey } from './site-key.js';
import type { SiteKey } from './site-key.js';
import { Syncer } from './syncer.js';
import type { SyncerOptions } from './syncer-options.js';
import { systemClock, systemRandom } from './system-clock.js';

/** Made beforehand: a site is made in one go. */
const freshKeys = await Promise.all(Array.from({ length: 128 }, () => makeSiteKey()));
const keys = new Map<string, SiteKey>();

/** The key of a site, the same whenever it is asked for. */
export function keyOf(siteId: string): SiteKey {
  let key = keys.get(siteId);
  if (!key) keys.set(siteId, (key = freshKeys.pop()!));
  return key;
}

/** Who belongs to a volume, as one site knows it; or as all of them do. */
export class MemoryMembers implements MemberStore {
  private readonly members = new Map<string, Member>();
  all(): readonly Member[] {
    return [...this.members.values()];
  }
  async admit({ siteId, name, identity }: { siteId: string; name: string; identity: string }): Promise<void> {
    this.put(siteId, name, identity);
  }
  put(siteId: string, name: string, identity: string): void {
    this.members.set(siteId, { siteId, name, identity, addresses: [], role: READ_WRITE });
  }
  retire(siteId: string): void {
    this.members.set(siteId, { ...this.members.get(siteId)!, role: { kind: 'retired', cut: new Map() } });
  }
  delete(siteId: string): void {
    this.members.delete(siteId);
  }
}

/** Of the volumes whose sites have all heard of each other. */
const everybody = new Map<string, MemoryMembers>();

function membersOf(volumeId: string): MemoryMembers {
  let members = everybody.get(volumeId);
  if (!members) everybody.set(volumeId, (members = new MemoryMembers()));
  return members;
}

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
  readonly key: SiteKey;
  readonly actor = randomBytes(16).toString('hex');
  address = '';

  constructor(
    name: string,
    options: Partial<SyncerOptions> & {
      siteId?: string;
      volumeId?: string;
      slot?: number;
      /** Who this site knows of; without it all sites of the volume know each other. */
      members?: MemoryMembers;
    } = {},
  ) {
    const siteId = options.siteId ?? randomBytes(16).toString('hex');
    this.store = new MemorySyncStore(name, siteId, setImmediate, options);
    this.key = options.key ?? keyOf(siteId);
    const members = options.members ?? membersOf(this.store.volumeId);
    members.put(siteId, name, this.key.identity);
    this.syncer = new Syncer({
      store: this.store,
      clock: systemClock,
      random: systemRandom,
      log: this.log,
      invites: new MemoryInvites(),
      key: this.key,
      members,
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

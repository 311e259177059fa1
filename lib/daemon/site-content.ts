// site-content.ts — which content this site has: everything, or what is read or pinned here. Who waits for it, and when it goes again.
// Invariant: peers hear that this site keeps everything only while it does: from when all is wanted that was not, until somebody
// chooses otherwise. Nothing is given up before that was said, nor while a choice is carried out.

import { statfsSync } from 'node:fs';
import type { ObjectId } from '../crdt/ids.js';
import type { SyncClock } from '../sync/ports.js';
import { AbsentReads } from './absent-reads.js';
import { CacheLimit } from './cache-limit.js';
import type { Collector } from './collector.js';
import type { ContentControl, ContentPolicy, ContentSettings, Evicted, PinnedPath } from './content-interface.js';
import type { Log, SiteConfig, SiteState } from './daemon-interface.js';
import { PassingNeeds } from './passing-needs.js';
import { pathText } from './path-text.js';
import { Pins } from './pins.js';
import type { ObjectNeeds, SiteRequests } from './site-sync-store.js';

/** A peer, as far as content is concerned. */
export interface ContentPeer {
  readonly site: string;
  readonly state: string;
  /** Whether it keeps everything; null: not known. */
  readonly keepsAll: boolean | null;
}

export interface SiteContentOptions {
  readonly state: SiteState;
  readonly clock: SyncClock;
  readonly log: Log;
  readonly site: () => SiteRequests;
  readonly collector: () => Collector;
  readonly peers: () => readonly ContentPeer[];
  readonly holds: (id: ObjectId) => boolean;
  /** Whether it is fetched though nobody waits for it. */
  readonly isWanted: (id: ObjectId) => boolean;
  /** Callers that wait for these get an error. */
  readonly giveUp: (ids: readonly ObjectId[]) => void;
  /** What is needed changed. */
  readonly changed: () => void;
  /** What is said of this site in a hello changed. */
  readonly reconnect: () => void;
}

/** Less is not enough for what is read at the same time. */
export const MIN_CACHE_BYTES = 16 << 20;

export class SiteContent implements ObjectNeeds, ContentControl {
  private readonly reads: AbsentReads;
  private readonly passing: PassingNeeds;
  private readonly pinned: Pins;
  private readonly cache: CacheLimit;
  private isChanging = false;

  constructor(private readonly options: SiteContentOptions) {
    const { state, site, collector } = options;
    this.reads = new AbsentReads(options);
    this.passing = new PassingNeeds(options.clock);
    this.pinned = new Pins(options);
    const limit = (field: 'cacheBytes' | 'keepFreeBytes') => () =>
      this.policy === 'everything' ? null : (state.config()[field] ?? null);
    this.cache = new CacheLimit({
      ...options,
      cacheBytes: limit('cacheBytes'),
      keepFreeBytes: limit('keepFreeBytes'),
      storedBytes: async () => (await site().request('status', null)).chunkBytes,
      freeBytes: () => {
        const { bavail, bsize } = statfsSync(state.directory);
        return bavail * bsize;
      },
      evict: (bytes) => collector().evict({ bytes }, this.pinned.inos),
    });
  }

  get policy(): ContentPolicy {
    return this.options.state.config().content ?? 'everything';
  }

  /** Whether others may count on this site to fetch and keep everything. */
  get keepsAll(): boolean {
    const { content, wantsDue } = this.options.state.config();
    return content !== 'on-demand' && !wantsDue;
  }

  /** Goes on with what was under way when the site ended. */
  async start(): Promise<void> {
    if (this.options.state.config().wantsDue) await this.completeWants();
    this.pinned.changed();
    await this.cache.look();
  }

  // ── ContentControl ──────────────────────────────────────────────────────────────────────────────────────────────────────────

  settings(): ContentSettings {
    const { cacheBytes = null, keepFreeBytes = null } = this.options.state.config();
    return { policy: this.policy, cacheBytes, keepFreeBytes };
  }

  async choose({ policy, cacheBytes, keepFreeBytes }: Partial<ContentSettings>): Promise<void> {
    if (this.isChanging) throw new Error('what this site keeps is being changed already: try again in a moment');
    if (typeof cacheBytes === 'number' && cacheBytes < MIN_CACHE_BYTES)
      throw new Error(`a cache of less than ${MIN_CACHE_BYTES >> 20} MiB is too small to read with`);
    this.isChanging = true;
    try {
      if (cacheBytes !== undefined) this.save('cacheBytes', cacheBytes);
      if (keepFreeBytes !== undefined) this.save('keepFreeBytes', keepFreeBytes);
      if (policy !== undefined && policy !== this.policy) await this.choosePolicy(policy);
      await this.cache.look();
    } finally {
      this.isChanging = false;
    }
  }

  async pin(paths: readonly string[]): Promise<void> {
    await this.pinned.add(paths);
    this.options.changed();
  }

  unpin(paths: readonly string[]): Promise<void> {
    return this.pinned.remove(paths);
  }

  pins(): Promise<readonly PinnedPath[]> {
    return this.pinned.list();
  }

  async evict(path: string): Promise<Evicted> {
    const { state, site, collector } = this.options;
    if (this.policy === 'everything') {
      const remedy = `weft content ${state.config().mountpoint} on-demand first`;
      throw new Error(`this site keeps the content of all files: ${remedy}`);
    }
    const inos = await this.pinned.resolve([path]);
    const { pinnedBy } = await site().request('pinnedBy', { ino: inos[0]! });
    if (pinnedBy !== null) throw new Error(`${pathText(pinnedBy)} is pinned: weft unpin it first`);
    return collector().evict({ inos }, this.pinned.inos);
  }

  private save(field: 'cacheBytes' | 'keepFreeBytes', bytes: number | null): void {
    const { state } = this.options;
    const config: SiteConfig = { ...state.config() };
    if (bytes === null) delete config[field];
    else config[field] = bytes;
    state.saveConfig(config);
  }

  private async choosePolicy(policy: ContentPolicy): Promise<void> {
    const { state, site, collector, reconnect } = this.options;
    const isAll = policy === 'everything';
    // What is being given up was asked about under the old choice: it is not to go under the new one.
    await collector().apart(async () => {
      const { wantsDue: _, ...config } = state.config();
      state.saveConfig({ ...config, content: policy, ...(isAll ? { wantsDue: true } : {}) });
      reconnect();
      await site().request('keepAll', { keepsAll: isAll });
    });
    if (isAll) await this.completeWants();
    else this.pinned.changed();
  }

  private async completeWants(): Promise<void> {
    const { state, collector, reconnect } = this.options;
    await collector().collect();
    const { wantsDue: _, ...config } = state.config();
    state.saveConfig(config);
    reconnect();
  }

  // ── who needs what ──────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** The tree changed. */
  committed(): void {
    if (this.policy === 'on-demand') this.pinned.changed();
  }

  /** Callers that read the file at this path wait for these. */
  needed(ids: readonly ObjectId[], file: string | null): void {
    this.reads.needed(ids, file);
    this.options.changed();
  }

  /** A reader will soon want these. */
  ahead(ids: readonly ObjectId[]): void {
    this.passing.ahead(ids);
    this.options.changed();
  }

  get rests(): boolean {
    return this.cache.isFull;
  }

  *urgent(): Iterable<ObjectId> {
    yield* this.reads.urgent;
    yield* this.passing.current();
  }

  askedByPeer(id: ObjectId): void {
    if (this.policy === 'on-demand' && this.passing.asked(id)) this.options.changed();
  }

  arrived(ids: readonly ObjectId[], bytes: number): void {
    this.reads.arrived(ids);
    this.passing.arrived(ids);
    this.options.collector().arrived(ids);
    this.cache.stored(bytes);
  }

  absentEverywhere(ids: readonly ObjectId[]): void {
    // A site that fetches on demand seeks what it was asked for in vain: what is sought for a peer here may come from there.
    const maySeek = this.options.peers().some(({ state, keepsAll }) => state === 'connected' && keepsAll === false);
    if (!maySeek) this.passing.absentEverywhere(ids);
    this.reads.absentEverywhere(ids);
    const wanted = ids.filter((id) => this.options.isWanted(id));
    if (wanted.length > 0) this.options.collector().reportedAbsent(wanted);
  }

  async close(): Promise<void> {
    this.reads.close();
    this.cache.close();
    await this.pinned.close();
  }
}

// site-content.ts — which content this site fetches: everything, or what is read here. And who waits for it.
// Invariant: peers hear that this site keeps everything only while it does: from when all is wanted that was not, until somebody
// chooses otherwise. Nothing is given up here before that was said.

import type { ObjectId } from '../crdt/ids.js';
import type { SyncClock } from '../sync/ports.js';
import { AbsentReads } from './absent-reads.js';
import type { ContentControl, ContentPolicy, ContentSettings } from './content-interface.js';
import type { Log, SiteState } from './daemon-interface.js';
import { PassingNeeds } from './passing-needs.js';
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
  readonly peers: () => readonly ContentPeer[];
  readonly holds: (id: ObjectId) => boolean;
  /** Callers that wait for these get an error. */
  readonly giveUp: (ids: readonly ObjectId[]) => void;
  /** No linked peer has these, which a site that keeps everything wants. */
  readonly absentEverywhere: (ids: readonly ObjectId[]) => void;
  /** What is needed changed. */
  readonly changed: () => void;
  /** What is said of this site in a hello changed. */
  readonly reconnect: () => void;
  /** Looks what is shown and neither held nor wanted, and has it wanted. */
  readonly wantAll: () => Promise<unknown>;
}

export class SiteContent implements ObjectNeeds, ContentControl {
  private readonly reads: AbsentReads;
  private readonly passing: PassingNeeds;
  private isChanging = false;

  constructor(private readonly options: SiteContentOptions) {
    this.reads = new AbsentReads(options);
    this.passing = new PassingNeeds(options.clock);
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
  }

  settings(): ContentSettings {
    return { policy: this.policy };
  }

  async choose({ policy }: Partial<ContentSettings>): Promise<void> {
    if (policy !== undefined && policy !== this.policy) await this.choosePolicy(policy);
  }

  private async choosePolicy(policy: ContentPolicy): Promise<void> {
    const { state, site, reconnect } = this.options;
    if (this.isChanging) throw new Error('what this site keeps is being changed already: try again in a moment');
    this.isChanging = true;
    try {
      const { wantsDue: _, ...config } = state.config();
      const isAll = policy === 'everything';
      // Before anything is given up, and before everything is here, nobody may count on this site.
      state.saveConfig({ ...config, content: policy, ...(isAll ? { wantsDue: true } : {}) });
      reconnect();
      await site().request('keepAll', { keepsAll: isAll });
      if (isAll) await this.completeWants();
    } finally {
      this.isChanging = false;
    }
  }

  private async completeWants(): Promise<void> {
    const { state, wantAll, reconnect } = this.options;
    await wantAll();
    const { wantsDue: _, ...config } = state.config();
    state.saveConfig(config);
    reconnect();
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

  // ── ObjectNeeds ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

  *urgent(): Iterable<ObjectId> {
    yield* this.reads.urgent;
    yield* this.passing.current();
  }

  askedByPeer(id: ObjectId): void {
    if (this.policy === 'on-demand' && this.passing.asked(id)) this.options.changed();
  }

  arrived(ids: readonly ObjectId[]): void {
    this.reads.arrived(ids);
    this.passing.arrived(ids);
  }

  absentEverywhere(ids: readonly ObjectId[]): void {
    this.passing.absentEverywhere(ids);
    this.reads.absentEverywhere(ids);
    if (this.policy === 'everything') this.options.absentEverywhere(ids);
  }

  close(): void {
    this.reads.close();
  }
}

// collector.ts — collections of a site, seen from the main thread: when there is one, and what the threads say to each other in it.
//
//   writers seal their packs → site thread begins, and says what is in use → collection thread surveys a commit that is later
//   → … collects in slices, moves, retires (site thread) → durable → forget (readers) → unlink (collection thread) → site thread ends
//
// Invariant: one collection at a time; whatever fails, the site thread is told that it ended.

import { statfsSync } from 'node:fs';
import { join } from 'node:path';
import type { VersionVector } from '../crdt/change.js';
import type { ObjectId } from '../crdt/ids.js';
import type { MissingObject } from '../chunks/object-kind.js';
import type { MovedObject, UnusedObject } from '../chunks/object-store.js';
import { packNames } from '../chunks/pack-use.js';
import type { SyncClock } from '../sync/ports.js';
import type { SurveyRequest } from '../volume/collection-survey.js';
import type { EvictionRequest } from '../volume/eviction.js';
import type { Evicted } from './content-interface.js';
import type { CollectionReport, Log } from './daemon-interface.js';
import type { OtherSites } from './other-sites.js';
import { unlessEnded } from './site-ended.js';
import type { SiteRequests } from './site-sync-store.js';

export type { CollectionReport };

interface Sealed {
  /** The packs that nobody writes to any more. */
  readonly sealed: readonly string[];
  /** Wall clock. */
  readonly startedMs: number;
}

export interface CollectionData extends Sealed {
  readonly request: SurveyRequest;
  /** False: only look. */
  readonly carriesOut: boolean;
}

/** As a collection, with other objects. */
export interface EvictionData extends Sealed {
  readonly eviction: EvictionRequest;
}

/** What the thread of a collection asks for. */
export type CollectionQuestion =
  | {
      readonly ask: 'collect';
      readonly unused: readonly UnusedObject[];
      readonly moved: readonly MovedObject[];
      readonly areEvicted: boolean;
    }
  | { readonly ask: 'kept'; readonly ids: readonly ObjectId[] }
  | { readonly ask: 'retire'; readonly packs: readonly string[] }
  | { readonly ask: 'verify'; readonly ids: readonly ObjectId[] }
  | { readonly ask: 'correctWants'; readonly needed: readonly MissingObject[]; readonly unneeded: readonly ObjectId[] };

export type CollectionAnswer = { readonly report: CollectionReport } | { readonly evicted: Evicted };

/** What writes and reads packs on other threads than the site's. */
export interface PackUsers {
  /** Resolves when what is written from now on goes to new packs. */
  seal(): Promise<void>;
  /** These packs are gone. */
  forget(packs: readonly string[]): void;
}

/** Linked sites that keep everything. */
export interface Keepers {
  /** Whether one of them acknowledged all of `vector`. */
  has(vector: VersionVector): boolean;
  /** Those of the objects that one of them keeps which did. */
  kept(ids: readonly ObjectId[], vector: VersionVector): Promise<readonly ObjectId[]>;
}

export interface CollectorOptions {
  readonly stateDirectory: string;
  readonly clock: SyncClock;
  readonly site: SiteRequests;
  /** Resolves when the commit is on stable storage. */
  readonly durable: (commit: number) => Promise<void>;
  readonly packUsers: PackUsers;
  /** What is durable here. */
  readonly vector: () => VersionVector;
  /** What the other sites of the volume know. */
  readonly others: Pick<OtherSites, 'acknowledged' | 'lagging'>;
  /** How long versions are kept after something took their place, in milliseconds; null: as the volume says. */
  readonly keepHistoryMs: () => number | null;
  readonly keepers: Keepers;
  /** Whether what is shown and not held is to be fetched. */
  readonly keepsAll: () => boolean;
  /** Works on a collection or an eviction elsewhere (collection-work.ts). */
  readonly run: (
    data: CollectionData | EvictionData,
    answer: (question: CollectionQuestion) => Promise<unknown>,
  ) => Promise<CollectionAnswer>;
  readonly log: Log;
}

const CHECK_EVERY_MS = 60_000;
/** A collection that nobody asked for comes no sooner after the last one … */
const INTERVAL_MS = 60 * 60_000;
/** … and when so much was stored since, or the disk has less than this free, no sooner than this. */
const MUCH_STORED_BYTES = 256 * 2 ** 20;
const LOW_DISK_BYTES = 2 * 2 ** 30;
const SHORT_INTERVAL_MS = 5 * 60_000;
/** Nor does looking for what is unused take more than this part of the time. */
const MAX_SHARE = 0.02;
/** What is reported absent comes in batches, and mostly arrives a moment later, being on its way to who was asked: looked at once for the rest. */
const ABSENT_DELAY_MS = 500;
/** Nor does looking at that take more than this part of the time. */
const MAX_ABSENT_SHARE = 0.1;
const US_PER_MS = 1_000;
/** A site that keeps everything is given so long to acknowledge what was written last. */
const KEEPER_WAIT_MS = 2_000;
const KEEPER_POLL_MS = 10;

export class Collector {
  private running: Promise<unknown> = Promise.resolve();
  private closed = false;
  private lastEndMs: number;
  private lastDurationMs = 0;
  private storedBytes: number | null = null;
  private readonly absent = new Set<ObjectId>();
  private cancelAbsent: (() => void) | null = null;
  private cancelCheck: () => void = () => {};
  /** What was durable here when the eviction that is under way began. */
  private namedBefore: VersionVector = new Map();

  constructor(private readonly options: CollectorOptions) {
    this.lastEndMs = options.clock.now();
    this.checkLater();
  }

  /** What there is, and what of it would go. Changes nothing. */
  survey(): Promise<CollectionReport> {
    return this.next(async () => {
      const { inUse } = await this.options.site.request('versionsInUse', null);
      return this.inThread(false, inUse, []);
    });
  }

  /** Gives up what nothing needs. */
  collect(): Promise<CollectionReport> {
    return this.next(() => this.collectNow());
  }

  /** Gives up what is read again from another site when it is needed. */
  evict(what: EvictionRequest['what'], pins: EvictionRequest['pins']): Promise<Evicted> {
    return this.next(() =>
      this.begun(async (_inUse, sealed) => {
        // What is begun to be written from now on is cited: asked any sooner, what is begun meanwhile would lose what it is laid over.
        const { written } = await this.options.site.request('versionsWritten', null);
        await this.awaitKeeper();
        const eviction = { stateDirectory: this.options.stateDirectory, what, pins, written };
        const answer = await this.run({ eviction, sealed, startedMs: this.options.clock.wallMs() });
        if (!('evicted' in answer)) throw new Error('the thread of an eviction answered with a collection');
        return [answer.evicted, answer.evicted.removedPacks];
      }),
    );
  }

  /**
   * What a register names here as the eviction begins has to be known to whoever is asked what it keeps: else it may give up what nothing
   * needs as far as it knows.
   */
  private async awaitKeeper(): Promise<void> {
    const { site, durable, vector, keepers, clock } = this.options;
    const { commit } = await site.request('fold', null);
    await durable(commit);
    this.namedBefore = new Map(vector());
    for (let waitedMs = 0; waitedMs < KEEPER_WAIT_MS && !keepers.has(this.namedBefore); waitedMs += KEEPER_POLL_MS)
      await new Promise<void>((resolve) => void clock.setTimer(KEEPER_POLL_MS, resolve));
  }

  /** Resolves to what `run` does while no collection is under way, and none begins. */
  apart<T>(run: () => Promise<T>): Promise<T> {
    return this.next(run);
  }

  /** Every linked peer says that it does not hold these. Whether anything needs them all the same is looked at soon. */
  reportedAbsent(ids: readonly ObjectId[]): void {
    for (const id of ids) this.absent.add(id);
    if (this.cancelAbsent || this.closed) return;
    const { clock } = this.options;
    const restsMs = this.lastEndMs + this.lastDurationMs / MAX_ABSENT_SHARE - clock.now();
    this.cancelAbsent = clock.setTimer(Math.max(ABSENT_DELAY_MS, restsMs), () => {
      this.cancelAbsent = null;
      if (this.absent.size > 0) this.collectQuietly();
    });
  }

  /** These are here now, whoever reported them absent. */
  arrived(ids: readonly ObjectId[]): void {
    for (const id of ids) this.absent.delete(id);
  }

  /** Resolves when no collection is under way; none begins any more. */
  async close(): Promise<void> {
    this.closed = true;
    this.cancelCheck();
    this.cancelAbsent?.();
    await this.running.catch(() => {});
  }

  private next<T>(run: () => Promise<T>): Promise<T> {
    const result = this.running
      .catch(() => {})
      .then(() => {
        if (this.closed) throw new Error('the site is being unmounted');
        return run();
      });
    this.running = result;
    return result;
  }

  private checkLater(): void {
    this.cancelCheck = this.options.clock.setTimer(CHECK_EVERY_MS, () => {
      unlessEnded(this.check());
      this.checkLater();
    });
  }

  private async check(): Promise<void> {
    const idleMs = this.options.clock.now() - this.lastEndMs;
    if (idleMs < Math.max(SHORT_INTERVAL_MS, this.lastDurationMs / MAX_SHARE)) return;
    if (idleMs >= INTERVAL_MS || this.isDiskLow() || (await this.isMuchStored())) this.collectQuietly();
  }

  private isDiskLow(): boolean {
    const { bavail, bsize } = statfsSync(this.options.stateDirectory);
    return bavail * bsize < LOW_DISK_BYTES;
  }

  private async isMuchStored(): Promise<boolean> {
    const { chunkBytes } = await this.options.site.request('status', null);
    this.storedBytes ??= chunkBytes;
    return chunkBytes - this.storedBytes >= MUCH_STORED_BYTES;
  }

  private collectQuietly(): void {
    const { log } = this.options;
    this.collect().then(
      ({ collected }) => {
        if (collected && collected.freedBytes > 0) log.info(collected, 'disk space was reclaimed');
      },
      (error: Error) => log.warn({ err: error }, 'disk space could not be reclaimed now; it is tried again'),
    );
  }

  private async collectNow(): Promise<CollectionReport> {
    const { clock } = this.options;
    const startMs = clock.now();
    const absent = [...this.absent];
    this.absent.clear();
    try {
      return await this.begun(async (inUse, sealed) => {
        const report = await this.inThread(true, inUse, sealed, absent);
        return [report, report.collected?.removedPacks ?? []];
      });
    } finally {
      this.lastEndMs = clock.now();
      this.lastDurationMs = this.lastEndMs - startMs;
      this.storedBytes = null;
    }
  }

  /** Runs what names objects to be given up, and returns the packs that it removed, between the site thread's begin and end. */
  private async begun<T>(
    run: (inUse: readonly ObjectId[], sealed: readonly string[]) => Promise<readonly [T, removed: readonly string[]]>,
  ): Promise<T> {
    const { site, packUsers, stateDirectory } = this.options;
    // Listed first: what a writer begins when it has ended its pack, it goes on writing to.
    const sealed = packNames(join(stateDirectory, 'packs'));
    await packUsers.seal();
    const { inUse } = await site.request('beginCollection', null);
    let removed: readonly string[] = [];
    try {
      const [result, packs] = await run(inUse, sealed);
      removed = packs;
      return result;
    } finally {
      await site.request('endCollection', { removed: [...removed] });
    }
  }

  private async inThread(
    carriesOut: boolean,
    inUse: readonly ObjectId[],
    sealed: readonly string[],
    reportedAbsent: readonly ObjectId[] = [],
  ): Promise<CollectionReport> {
    const startedMs = this.options.clock.wallMs();
    const rules = {
      nowUs: startedMs * US_PER_MS,
      keepHistoryMs: this.options.keepHistoryMs(),
      acknowledged: this.options.others.acknowledged(),
    };
    const { stateDirectory } = this.options;
    const data: CollectionData = {
      request: { stateDirectory, rules, inUse, reportedAbsent, keepsAll: this.options.keepsAll() },
      carriesOut,
      sealed,
      startedMs,
    };
    const answer = await this.run(data);
    if (!('report' in answer)) throw new Error('the thread of a collection answered with an eviction');
    return { ...answer.report, waitsFor: this.options.others.lagging() };
  }

  private run(data: CollectionData | EvictionData): Promise<CollectionAnswer> {
    return this.options.run(data, (question) => this.carryOut(question));
  }

  private async carryOut(question: CollectionQuestion): Promise<unknown> {
    const { site, durable, packUsers } = this.options;
    switch (question.ask) {
      case 'collect': {
        const { unused, moved, areEvicted } = question;
        return (await site.request('collect', { unused: [...unused], moved: [...moved], areEvicted })).kept;
      }
      case 'kept':
        return this.options.keepers.kept(question.ids, this.namedBefore);
      case 'retire': {
        const { retired, commit } = await site.request('retirePacks', { packs: [...question.packs] });
        await durable(commit);
        packUsers.forget(retired);
        return retired;
      }
      case 'verify':
        return site.request('verify', { ids: [...question.ids] });
      case 'correctWants': {
        const { needed, unneeded } = question;
        return site.request('correctWants', { needed: [...needed], unneeded: [...unneeded] });
      }
    }
  }
}

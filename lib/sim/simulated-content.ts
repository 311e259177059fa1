// simulated-content.ts — which content one process of a simulated site keeps, and how it gives up the rest: the product's collector, its
// work and its choice of content, wired as lib/daemon/running-site.ts wires them, without threads.
// Invariant: nothing of it has any effect once the process died; what it had open then is closed.

import { workOn } from '../daemon/collection-work.js';
import { Collector } from '../daemon/collector.js';
import type { DurableCommits } from '../daemon/durable-commits.js';
import { OtherSites } from '../daemon/other-sites.js';
import { SiteContent } from '../daemon/site-content.js';
import type { SiteRequests, SiteSyncStore } from '../daemon/site-sync-store.js';
import type { RequestName, Requests, ToSite } from '../daemon/thread-protocol.js';
import type { SyncClock } from '../sync/ports.js';
import type { SiteExchange } from '../sync/site-exchange.js';
import type { Ingester } from '../chunks/ingester.js';
import type { Random } from './random.js';
import type { Site } from './site.js';

/** Mostly none is kept: what was shown once would not be given up in the time of a schedule. */
const KEEP_HISTORY_MS = [0, 0, 30 * 86_400_000];

/** The rest of the process. */
export interface Around {
  readonly thread: SiteRequests & { send(message: ToSite): void };
  readonly durable: DurableCommits;
  readonly exchange: () => SiteExchange;
  readonly store: () => SiteSyncStore;
  readonly ingester: () => Ingester | undefined;
  readonly isDead: () => boolean;
}

export class SimulatedContent {
  readonly content: SiteContent;
  readonly collector: Collector;
  private readonly ended: Promise<never>;
  private end!: (error: Error) => void;

  constructor(
    private readonly site: Site,
    random: Random,
    private readonly around: Around,
  ) {
    const { thread, durable, exchange } = around;
    const keepHistoryMs = random.pick(KEEP_HISTORY_MS)!;
    const clock = this.clock();
    this.ended = new Promise((_, reject) => (this.end = reject));
    this.ended.catch(() => {});
    this.collector = new Collector({
      stateDirectory: site.directory,
      clock,
      site: { request: (name, args) => this.request(name, args) },
      durable: (commit) => this.alive(durable.reached(commit)),
      packUsers: {
        seal: async () => {
          // A round to the worker, which may be busy.
          await new Promise<void>((resolve) => void clock.setTimer(random.logUniform(0.1, 20), resolve));
          around.ingester()?.seal();
          await around.store().seal();
        },
        forget: (packs) => {
          around.store().forgetPacks(packs);
          around.ingester()?.forgetPacks(packs);
        },
      },
      vector: () => durable.vector,
      others: new OtherSites({
        siteId: site.siteId,
        vector: () => durable.vector,
        met: () => site.peers.all(),
        members: () => site.volume.membership.all(),
        holdings: () => exchange().members.all(),
      }),
      keepHistoryMs: () => keepHistoryMs,
      keepers: {
        has: (vector) => exchange().hasKeeper(vector),
        kept: (ids, vector) => this.alive(exchange().keptElsewhere(ids, vector)),
      },
      keepsAll: () => this.content.policy === 'everything',
      run: (data, answer) => workOn(data, (question) => this.alive(answer(question)) as Promise<never>),
      log: silentLog,
    });
    this.content = new SiteContent({
      state: { directory: site.directory, config: () => site.config, saveConfig: (config) => site.saveConfig(config) },
      clock,
      log: silentLog,
      site: () => thread,
      changed: () => clock.setTimer(0, () => exchange().advanced()),
      reconnect: () => {
        for (const connection of exchange().connections()) connection.leave('renewed', 'the link begins anew');
      },
      collector: () => this.collector,
      peers: () =>
        site.peers.all().map(({ site: name, isConnected, keepsAll }) => ({
          site: name,
          state: isConnected ? 'connected' : 'unreachable',
          keepsAll,
        })),
      holds: (id) => around.store().holds(id),
      isWanted: (id) => around.store().isWanted(id),
      giveUp: (ids) => thread.send({ type: 'unavailable', ids }),
    });
  }

  /** The process died. */
  dispose(): void {
    this.end(new Error('the process died'));
  }

  private clock(): SyncClock {
    const { timeline, clock } = this.site;
    return {
      now: () => timeline.nowMs,
      wallMs: () => Math.floor(clock.nowUs() / 1000),
      setTimer: (delayMs, fire) =>
        timeline.after(delayMs, () => {
          if (!this.around.isDead()) fire();
        }),
    };
  }

  /** What is about to be given up is put where the checks find it. */
  private request<N extends RequestName>(name: N, args: Requests[N]['args']): Promise<Requests[N]['reply']> {
    if (name === 'collect')
      this.site.around.archive.takeObjects(this.site, (args as Requests['collect']['args']).unused);
    return this.alive(this.around.thread.request(name, args));
  }

  /** As it is answered, or until the process dies. */
  private alive<T>(answer: Promise<T>): Promise<T> {
    return Promise.race([answer, this.ended]);
  }
}

const silentLog = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

// simulated-stage.ts — simulated sites for a scenario: the product's own code over simulated time, network and disks (lib/sim).
// Invariant: a scenario and a seed give the same play; clocks are right unless the scenario sets one, so the later line is later.

import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { listConflicts } from '../../lib/crdt/conflicts.js';
import { AcknowledgedBytes } from '../../lib/sim/acknowledged-bytes.js';
import { Archive } from '../../lib/sim/archive.js';
import { checkOracle, checkSite } from '../../lib/sim/checks.js';
import { founded } from '../../lib/sim/founding.js';
import { Network } from '../../lib/sim/network.js';
import { Process } from '../../lib/sim/process.js';
import { standing } from '../../lib/sim/quiescence.js';
import { Random } from '../../lib/sim/random.js';
import { Site } from '../../lib/sim/site.js';
import { Totals } from '../../lib/sim/totals.js';
import { copyState } from '../../lib/sim/state-copy.js';
import '../../lib/sim/small-log-segments.js';
import { Timeline } from '../../lib/sim/timeline.js';
import type { Scenario } from './scenario.js';
import { SimulatedTree } from './simulated-tree.js';
import type { SiteTree } from './site-tree.js';
import type { ListedConflict, Stage } from './stage.js';

const START_MS = 1_000;
const BETWEEN_SITES_MS = 40;
const SLICE_MS = 20;
const SYNC_WITHIN_MS = 180_000;

export class SimulatedStage implements Stage {
  private readonly timeline = new Timeline();
  private readonly network: Network;
  private readonly archive = new Archive();
  private readonly sites: readonly Site[];
  private readonly trees = new Map<string, SimulatedTree>();
  private readonly errors: string[] = [];
  private readonly directory: string;
  private directories = 0;
  private groups: readonly (readonly string[])[];

  private constructor(
    private readonly scenario: Scenario,
    seed: number,
    root: string,
  ) {
    const random = new Random(`${scenario.name} ${seed}`);
    this.directory = join(root, `${scenario.name}-${seed}`);
    mkdirSync(this.directory, { recursive: true });
    this.groups = [scenario.sites];
    const isLinked = (a: number, b: number): boolean =>
      scenario.links.some((link) => link.includes(scenario.sites[a]!) && link.includes(scenario.sites[b]!));
    this.network = new Network(this.timeline, random.fork('network'), isLinked);
    const bytes = new AcknowledgedBytes();
    this.sites = founded(scenario.sites, root).sites.map(({ directory, ...identity }) => {
      const own = this.newDirectory();
      copyState(directory, own);
      const around = {
        timeline: this.timeline,
        network: this.network,
        archive: this.archive,
        totals: new Totals(),
        remembersSyncs: false,
        newDirectory: () => this.newDirectory(),
        setIdDrops: new Set<string>(),
        failed: (error: Error) => void this.errors.push(`${identity.name}: ${error.stack ?? error.message}`),
      };
      const site = new Site(identity, own, around, random.fork(identity.name), { skewMs: 0, rate: 1 }, () => {});
      const process = new Process(site, bytes);
      this.trees.set(identity.name, new SimulatedTree(site, process, (ms) => this.timeline.run(ms)));
      return site;
    });
  }

  /** Starts the sites. @param root a scratch directory, the same for all stages of the process */
  static async open(scenario: Scenario, seed: number, root: string): Promise<SimulatedStage> {
    const stage = new SimulatedStage(scenario, seed, root);
    for (const site of stage.sites) site.start();
    await stage.timeline.run(START_MS);
    return stage;
  }

  async close(): Promise<void> {
    for (const site of this.sites) site.kill();
    // What was under way ends, and lets go of its files.
    await new Promise((resolve) => setImmediate(resolve));
    rmSync(this.directory, { recursive: true, force: true });
  }

  tree(site: string): SiteTree {
    return this.trees.get(site)!;
  }

  isAlive(name: string): boolean {
    return this.site(name).life !== null;
  }

  async digest(name: string): Promise<string> {
    return this.site(name).digest;
  }

  async conflicts(name: string): Promise<readonly ListedConflict[]> {
    const { store, actors } = this.site(name).volume.journal;
    return listConflicts(store, actors).map(({ path, kind, why }) => ({ path: path.join('/'), kind, reason: why }));
  }

  async pause(): Promise<void> {
    await this.timeline.run(BETWEEN_SITES_MS);
  }

  async partition(groups: readonly (readonly string[])[]): Promise<void> {
    await this.sync();
    this.regroup(groups);
  }

  async heal(): Promise<void> {
    this.regroup([this.sites.map(({ name }) => name)]);
    await this.sync();
  }

  private regroup(groups: readonly (readonly string[])[]): void {
    this.groups = groups;
    for (const a of this.sites)
      for (const b of this.sites) {
        if (a === b) continue;
        const isCut = !groups.some((group) => group.includes(a.name) && group.includes(b.name));
        if (!isCut) this.network.unsilence(a.index, b.index);
        else if (!this.network.isMute(a.index, b.index)) this.network.silence(a.index, b.index);
      }
  }

  async sync(): Promise<void> {
    const untilMs = this.timeline.nowMs + SYNC_WITHIN_MS;
    // What merges write is synced like anything else: until a round brings nothing new.
    for (let before = ''; before !== this.standing();) {
      before = this.standing();
      for (const site of this.alive()) await this.finish(site.life!.flush());
      do {
        await this.timeline.run(SLICE_MS);
        if (this.errors.length > 0) return;
        if (this.timeline.nowMs > untilMs)
          throw new Error(`not synced within ${SYNC_WITHIN_MS / 1000} simulated seconds: ${this.describe()}`);
      } while (!this.reaches().every((sites) => isSynced(sites)));
    }
  }

  async kill(name: string): Promise<void> {
    this.site(name).kill();
  }

  async restart(name: string): Promise<void> {
    this.site(name).start();
    await this.timeline.run(START_MS);
  }

  setClock(name: string, bySeconds: number): void {
    this.site(name).clock.jump(bySeconds * 1000);
  }

  setDisk(): Promise<void> {
    return Promise.reject(new Error('simulated disks have no size: disk works on real mounts only'));
  }

  troubles(): string[] {
    return [...this.errors, ...this.alive().flatMap((site) => checkSite(site))];
  }

  troublesAtEnd(): string[] {
    return checkOracle(this.sites[0]!);
  }

  private describe(): string {
    return this.alive().map(standing).join('; ');
  }

  private site(name: string): Site {
    return this.sites.find((site) => site.name === name)!;
  }

  private alive(): readonly Site[] {
    return this.sites.filter(({ life }) => life !== null);
  }

  /** Lets time pass until a promise of the product is settled. */
  private async finish(promise: Promise<void>): Promise<void> {
    const state = { isSettled: false };
    const settled = promise.finally(() => (state.isSettled = true));
    settled.catch(() => {}); // awaited below
    while (!state.isSettled) await this.timeline.run(1);
    return settled;
  }

  /** Changes that each site has, as text. */
  private standing(): string {
    return JSON.stringify(this.alive().map(({ volume }) => [...volume.journal.vector()].toSorted()));
  }

  /** Sets of running sites that reach each other, maybe through others. */
  private reaches(): Site[][] {
    const sets = this.alive().map((site) => [site]);
    const setOf = (name: string): Site[] | undefined => sets.find((set) => set.some((site) => site.name === name));
    for (const [a, b] of this.scenario.links) {
      const [first, second] = [setOf(a), setOf(b)];
      const isCut = !this.groups.some((group) => group.includes(a) && group.includes(b));
      if (!first || !second || first === second || isCut) continue;
      first.push(...second);
      sets.splice(sets.indexOf(second), 1);
    }
    return sets;
  }

  private newDirectory(): string {
    return join(this.directory, `state-${this.directories++}`);
  }
}

/** Whether sites have the same, and have seen to what it asks for. */
function isSynced(sites: readonly Site[]): boolean {
  const vectors = sites.map(({ volume }) => JSON.stringify([...volume.journal.vector()].toSorted()));
  return (
    vectors.every((vector) => vector === vectors[0]) &&
    sites.every(({ volume }) => !volume.background.isPublishing && volume.objects.missingCount() === 0)
  );
}

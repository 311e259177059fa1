// scenario-player.ts — plays one scenario after the other, each on sites of its own that are gone afterwards.

import { scratchDirectory } from '../../lib/sim/scratch-directory.js';
import { Cluster } from '../sites/cluster.js';
import { ClusterStage } from './cluster-stage.js';
import { MergeReport } from './merge-report.js';
import { outcomeAt } from './outcome.js';
import { playScenario } from './play-scenario.js';
import type { Scenario, StageName } from './scenario.js';
import { SimulatedStage } from './simulated-stage.js';
import type { Stage } from './stage.js';

export interface Played {
  readonly scenario: Scenario;
  readonly failures: readonly string[];
  /** Why it cannot be played on this stage; null: it was played. */
  readonly skipped: string | null;
  /** What all sites show at the end, with what is in conflict and why, a line each. */
  readonly outcome: readonly string[];
  /** What the sites showed before and after each merge, when that was asked for. */
  readonly tables: readonly string[];
  readonly ms: number;
}

type Seen = Pick<Played, 'failures' | 'outcome' | 'tables'>;

export class ScenarioPlayer {
  private scratch: ReturnType<typeof scratchDirectory> | null = null;

  /** @param keep leave the files of a failed real play where they are */
  constructor(
    private readonly seed = 1,
    private readonly withTables = false,
    private readonly keep = false,
  ) {}

  async play(scenario: Scenario, stage: StageName): Promise<Played> {
    if (scenario.only && scenario.only.stage !== stage) {
      return { scenario, failures: [], skipped: scenario.only.reason, outcome: [], tables: [], ms: 0 };
    }
    const startMs = performance.now();
    const result = stage === 'real' ? await this.playReal(scenario) : await this.playSimulated(scenario);
    return { scenario, skipped: null, ...result, ms: performance.now() - startMs };
  }

  /** Removes the simulated disks. */
  close(): void {
    this.scratch?.remove();
    this.scratch = null;
  }

  private async playSimulated(scenario: Scenario): Promise<Seen> {
    this.scratch ??= scratchDirectory();
    const stage = await SimulatedStage.open(scenario, this.seed, this.scratch.path);
    try {
      return await this.playOn(stage, scenario);
    } finally {
      await stage.close();
    }
  }

  private async playReal(scenario: Scenario): Promise<Seen> {
    const cluster = new Cluster('weft-scenario');
    let seen: Seen = { failures: [], outcome: [], tables: [] };
    try {
      seen = await this.playOn(await ClusterStage.open(cluster, scenario), scenario);
    } catch (error) {
      seen = { ...seen, failures: [`${scenario.file}: ${(error as Error).message}`] };
    }
    const failures = [...seen.failures];
    if (failures.length > 0) {
      for (const site of cluster.sites.values()) {
        const troubles = site.logTroubles();
        if (troubles.length > 0) failures.push([`log of ${site.name}:`, ...troubles].join('\n    '));
      }
      if (this.keep) failures.push(`kept in ${cluster.directory}`);
    }
    try {
      await cluster.close(this.keep && failures.length > 0);
    } catch (error) {
      failures.push(`cleaning up: ${(error as Error).message}`);
    }
    return { ...seen, failures };
  }

  private async playOn(stage: Stage, scenario: Scenario): Promise<Seen> {
    const report = this.withTables ? new MergeReport(scenario, stage) : undefined;
    const failures = await playScenario(scenario, stage, report);
    const isOutcomeKnown = scenario.published.length > 0 && failures.length === 0;
    const outcome = isOutcomeKnown ? await outcomeAt(stage, scenario.sites[0]!) : [];
    return { failures, outcome, tables: report?.tables ?? [] };
  }
}

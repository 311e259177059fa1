// play-scenario.ts — plays a scenario on a stage, and collects what did not come out as expected.
// An action that fails ends the play; an expectation that fails does not. Every play ends healed and synced, with one tree at all
// sites, sound link counts, and every acknowledged text in some file, whether or not the file says so.

import { promises as fs } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { linkCountViolations } from '../sites/tree-invariants.js';
import { pathBytes, printable, snapshotTree, treeDifferences } from '../sites/tree-snapshot.js';
import { AcknowledgedTexts } from './acknowledged-texts.js';
import { checkExpectation } from './check-expectation.js';
import { performAction, type Workplace } from './perform-action.js';
import type { Scenario, Step } from './scenario.js';
import type { Stage } from './stage.js';

/** Plays to the end; resolves to what went wrong, each as `file:line: …`. Empty: as expected. */
export async function playScenario(scenario: Scenario, stage: Stage): Promise<string[]> {
  const play = new Play(scenario, stage);
  try {
    for (const step of scenario.steps) {
      try {
        await play.step(step);
      } catch (error) {
        play.failed(step, (error as Error).message);
        return play.failures;
      }
    }
    await play.end();
  } finally {
    await play.closeHandles();
  }
  return play.failures;
}

/**
 * A file that was closed becomes a version a little later. Between the work of two sites this much time passes, so that the order of
 * stamps, which decides conflicts, is the order of lines.
 */
const BETWEEN_SITES_MS = 40;

class Play {
  readonly failures: string[] = [];
  private lastSite = '';
  private readonly texts = new AcknowledgedTexts();
  private readonly handles = new Map<string, Workplace['handles']>();

  constructor(
    private readonly scenario: Scenario,
    private readonly stage: Stage,
  ) {
    for (const site of scenario.sites) this.handles.set(site, new Map());
  }

  failed(step: Step, message: string): void {
    this.failures.push(`${this.scenario.file}:${step.line}: ${step.source}\n    ${message.replaceAll('\n', '\n    ')}`);
  }

  async step(step: Step): Promise<void> {
    switch (step.step) {
      case 'act':
        return this.act(step);
      case 'partition':
        return this.stage.partition(step.groups);
      case 'heal':
        return this.stage.heal();
      case 'sync':
        return this.stage.sync();
      case 'kill':
        return this.kill(step.site);
      case 'restart':
        return this.stage.restart(step.site);
      case 'expect':
        return this.expect(step);
    }
  }

  /** What holds at the end of every scenario. */
  async end(): Promise<void> {
    await this.stage.heal();
    for (const difference of await this.differences()) this.failures.push(`at the end: ${difference}`);
    for (const site of this.alive()) {
      const root = this.stage.root(site);
      const tree = snapshotTree(root);
      for (const violation of linkCountViolations(tree)) this.failures.push(`at the end, at ${site}: ${violation}`);
      const files = [...tree].filter(([, entry]) => entry.type === 'file').map(([path]) => path);
      const contents = await Promise.all(files.map((path) => fs.readFile(pathBytes(root, path), 'latin1')));
      for (const { text, line, site: writer, path } of this.texts.missingFrom(contents)) {
        this.failures.push(
          `${this.scenario.file}:${line}: ${printable(JSON.stringify(text))}, written at ${writer} to ${printable(path)}, is in no file at ${site}`,
        );
      }
    }
  }

  async closeHandles(): Promise<void> {
    for (const site of this.scenario.sites) await this.closeHandlesOf(site);
  }

  private async act(step: Extract<Step, { step: 'act' }>): Promise<void> {
    if (this.lastSite !== step.site) await sleep(BETWEEN_SITES_MS);
    this.lastSite = step.site;
    const at: Workplace = {
      site: step.site,
      root: this.stage.root(step.site),
      line: step.line,
      texts: this.texts,
      handles: this.handles.get(step.site)!,
      kill: () => this.kill(step.site),
    };
    try {
      await performAction(at, step.action);
    } catch (error) {
      if (step.failsWith !== null && (error as NodeJS.ErrnoException).code === step.failsWith) return;
      throw error;
    }
    if (step.failsWith !== null) throw new Error(`succeeded, expected ${step.failsWith}`);
  }

  private async kill(site: string): Promise<void> {
    await this.stage.kill(site);
    await this.closeHandlesOf(site);
  }

  private async expect(step: Extract<Step, { step: 'expect' }>): Promise<void> {
    const { expectation } = step;
    if (expectation.that === 'same') {
      for (const difference of await this.differences()) this.failed(step, difference);
      return;
    }
    for (const site of step.sites ?? this.alive()) {
      const wrong = await checkExpectation(this.stage.root(site), expectation, () => this.stage.conflicts(site)).catch(
        (error: Error) => error.message,
      );
      if (wrong !== null) this.failed(step, `${site}: ${wrong}`);
    }
  }

  /** Differences of the digests and of the trees, all against the first site that runs. */
  private async differences(): Promise<string[]> {
    const sites = await Promise.all(
      this.alive().map(async (name) => ({
        name,
        digest: await this.stage.digest(name),
        tree: snapshotTree(this.stage.root(name)),
      })),
    );
    const [first, ...others] = sites;
    if (!first) return ['no site runs'];
    return others.flatMap((other) => {
      const differences = treeDifferences(first, other);
      if (first.digest !== other.digest) {
        differences.unshift(`digest ${first.digest} at ${first.name}, ${other.digest} at ${other.name}`);
      }
      return differences;
    });
  }

  private alive(): string[] {
    return this.scenario.sites.filter((site) => this.stage.isAlive(site));
  }

  private async closeHandlesOf(site: string): Promise<void> {
    const handles = this.handles.get(site)!;
    for (const [name, { file }] of handles) {
      handles.delete(name);
      await file.close().catch((error: NodeJS.ErrnoException) => {
        // A descriptor on the mount of a killed daemon can only fail.
        if (error.code !== 'ENOTCONN' && error.code !== 'ECONNABORTED') throw error;
      });
    }
  }
}

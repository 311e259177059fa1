// play-scenario.ts — plays a scenario on a stage, and collects what did not come out as expected.
// An action that fails ends the play; an expectation that fails does not. Every play ends healed and synced, with one tree at all
// sites, sound link counts, and every acknowledged text in some file, whether or not the file says so.

import { getSystemErrorMap } from 'node:util';
import { linkCountViolations } from '../sites/tree-invariants.js';
import { printable, treeDifferences } from '../sites/tree-snapshot.js';
import { AcknowledgedTexts } from './acknowledged-texts.js';
import { checkExpectation } from './check-expectation.js';
import { performAction, type Workplace } from './perform-action.js';
import type { Scenario, Step } from './scenario.js';
import type { Stage } from './stage.js';

/** Sees what the sites show before and after each step at which they may merge. */
export interface Spectator {
  beforeMerging(): Promise<void>;
  /** `step` as the file has it, or what the play does by itself. `wereApart`: sites had been cut off from each other, or down. */
  afterMerging(step: string, wereApart: boolean): Promise<void>;
}

const NOBODY: Spectator = { beforeMerging: async () => {}, afterMerging: async () => {} };

/** Plays to the end; resolves to what went wrong, each as `file:line: …`. Empty: as expected. */
export async function playScenario(scenario: Scenario, stage: Stage, spectator = NOBODY): Promise<string[]> {
  const play = new Play(scenario, stage, spectator);
  try {
    for (const step of scenario.steps) {
      try {
        await play.step(step);
        for (const trouble of stage.troubles()) play.failed(step, trouble);
      } catch (error) {
        play.failed(step, (error as Error).message);
      }
      if (play.isOver) return play.failures;
    }
    await play.end();
  } finally {
    await play.closeHandles();
  }
  return play.failures;
}

/** How long an `await` may take. */
const AWAIT_MS = 30_000;

class Play {
  readonly failures: string[] = [];
  /** Something went wrong that makes the rest meaningless. */
  isOver = false;
  private areApart = false;
  private lastSite = '';
  private readonly texts = new AcknowledgedTexts();
  private readonly handles = new Map<string, Workplace['handles']>();

  constructor(
    private readonly scenario: Scenario,
    private readonly stage: Stage,
    private readonly spectator: Spectator,
  ) {
    for (const site of scenario.sites) this.handles.set(site, new Map());
  }

  /** What was to be done could not be done, or is wrong whatever was expected. */
  failed(step: Step, message: string): void {
    this.isOver = true;
    this.unexpected(step, message);
  }

  private unexpected(step: Step, message: string): void {
    this.failures.push(`${this.scenario.file}:${step.line}: ${step.source}\n    ${message.replaceAll('\n', '\n    ')}`);
  }

  async step(step: Step): Promise<void> {
    switch (step.step) {
      case 'act':
        return this.act(step);
      case 'partition':
        await this.merge(step.source, () => this.stage.partition(step.groups));
        this.areApart = true;
        return;
      case 'heal':
        await this.merge(step.source, () => this.stage.heal());
        this.areApart = this.alive().length < this.scenario.sites.length;
        return;
      case 'sync':
        return this.merge(step.source, () => this.stage.sync());
      case 'kill':
        return this.kill(step.site);
      case 'restart':
        return this.stage.restart(step.site);
      case 'clock':
        return this.stage.setClock(step.site, step.bySeconds);
      case 'disk':
        return this.stage.setDisk(step.site, step.megabytes);
      case 'expect':
        return step.isAwaited ? this.await(step) : this.expect(step);
    }
  }

  private async merge(step: string, act: () => Promise<void>): Promise<void> {
    await this.spectator.beforeMerging();
    await act();
    await this.spectator.afterMerging(step, this.areApart);
  }

  /** What holds at the end of every scenario. */
  async end(): Promise<void> {
    await this.closeHandles();
    await this.merge('the end: heal', () => this.stage.heal());
    const troubles = [...this.stage.troubles(), ...this.stage.troublesAtEnd(), ...(await this.differences())];
    for (const trouble of troubles) this.failures.push(`at the end: ${trouble}`);
    for (const site of this.alive()) {
      const tree = this.stage.tree(site);
      const snapshot = await tree.snapshot();
      for (const violation of linkCountViolations(snapshot)) this.failures.push(`at the end, at ${site}: ${violation}`);
      const contents: string[] = [];
      for (const [path, entry] of snapshot) if (entry.type === 'file') contents.push(await tree.read(path));
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
    if (this.lastSite !== step.site) await this.stage.pause();
    this.lastSite = step.site;
    const at: Workplace = {
      site: step.site,
      tree: this.stage.tree(step.site),
      line: step.line,
      texts: this.texts,
      handles: this.handles.get(step.site)!,
      kill: () => this.kill(step.site),
    };
    try {
      await performAction(at, step.action);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === undefined) throw error;
      if (code === step.failsWith) return;
      const expected = step.failsWith === null ? `; if it is meant to fail, write fails ${code} before it` : '';
      throw new Error(`${code}: ${meaningOf(code)}${expected}`, { cause: error });
    }
    if (step.failsWith !== null) throw new Error(`succeeded, expected ${step.failsWith}`);
  }

  private async kill(site: string): Promise<void> {
    this.areApart = true;
    await this.stage.kill(site);
    await this.closeHandlesOf(site);
  }

  private async expect(step: Extract<Step, { step: 'expect' }>): Promise<void> {
    for (const wrong of await this.wrongAt(step)) this.unexpected(step, wrong);
  }

  private async await(step: Extract<Step, { step: 'expect' }>): Promise<void> {
    const untilMs = performance.now() + AWAIT_MS;
    let wrong = await this.wrongAt(step);
    while (wrong.length > 0 && performance.now() < untilMs) {
      await this.stage.pause();
      wrong = await this.wrongAt(step);
    }
    if (wrong.length > 0) this.failed(step, `not after ${AWAIT_MS / 1000} s: ${wrong.join('\n')}`);
  }

  private async wrongAt({ expectation, sites }: Extract<Step, { step: 'expect' }>): Promise<string[]> {
    if (expectation.that === 'same') return this.differences();
    const wrong: string[] = [];
    for (const site of sites ?? this.alive()) {
      const shown = {
        tree: this.stage.tree(site),
        handles: this.handles.get(site)!,
        conflicts: () => this.stage.conflicts(site),
      };
      const what = await checkExpectation(shown, expectation).catch((error: Error) => error.message);
      if (what !== null) wrong.push(`${site}: ${what}`);
    }
    return wrong;
  }

  /** Differences of the digests, the trees and the lists of conflicts, all against the first site that runs. */
  private async differences(): Promise<string[]> {
    const sites = await Promise.all(
      this.alive().map(async (name) => ({
        name,
        digest: await this.stage.digest(name),
        conflicts: await this.stage.conflicts(name),
        tree: await this.stage.tree(name).snapshot(),
      })),
    );
    const [first, ...others] = sites;
    if (!first) return ['no site runs'];
    return others.flatMap((other) => {
      const differences = treeDifferences(first, other);
      if (first.digest !== other.digest) {
        differences.unshift(`digest ${first.digest} at ${first.name}, ${other.digest} at ${other.name}`);
      }
      const [here, there] = [first, other].map(({ conflicts }) => JSON.stringify(conflicts));
      if (here !== there) differences.push(`conflicts ${here} at ${first.name}, ${there} at ${other.name}`);
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
      await file.close();
    }
  }
}

/** What an errno says, as strerror(3). */
function meaningOf(code: string): string {
  for (const [name, meaning] of getSystemErrorMap().values()) if (name === code) return meaning;
  return 'the call failed';
}

// simulation.ts — one schedule: sites, clocks, network and callers, from a seed or from the steps of an earlier run.
// Invariant: the same seed and steps give the same run, to the last byte of the trace. The sites are checked after every step of a
// history and now and then between those of the workload; `converge`, which ends every schedule, heals everything and checks all that
// must hold then.

import { createHash } from 'node:crypto';
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { AbsentObjects } from '../chunks/absent-objects.js';
import { PosixError } from '../errno.js';
import { AcknowledgedBytes } from './acknowledged-bytes.js';
import { Archive } from './archive.js';
import { CorruptionError } from '../codec/bytes.js';
import { drawClocks, drawLinks, drawPassthrough, drawSiteCount } from './circumstances.js';
import { checkAcknowledged, checkConverged, checkOracle, checkSite } from './checks.js';
import { marksIn } from './contents.js';
import { founded, SITE_NAMES } from './founding.js';
import { Network } from './network.js';
import { Killed } from './call-account.js';
import type { ShownPath } from './observer.js';
import { perform } from './perform.js';
import { Process } from './process.js';
import { areAtRest, areReadable, mergesOfContent, standing } from './quiescence.js';
import { Random } from './random.js';
import { ShownAtKill } from './shown-at-kill.js';
import { type Crash, Site } from './site.js';
import './small-log-segments.js';
import './small-base-batches.js';
import './small-removed-blocks.js';
import type { DiskCall } from './disk-faults.js';
import type { Fullness } from './site-disk.js';
import { copyState } from './state-copy.js';
import { formatStep, type Step } from './step.js';
import { tryCrashState } from './crash-states.js';
import { Timeline } from './timeline.js';
import { Totals } from './totals.js';
import { type Scene, Workload } from './workload.js';

export interface Plan {
  readonly seed: number;
  /** 2 … 8; as the seed says without it. */
  readonly sites?: number | undefined;
  /** How many steps the workload takes; as the seed says without it. */
  readonly steps?: number | undefined;
  /** Names of the sites whose kernels read and write local files by themselves; as the seed says without it. */
  readonly passthrough?: readonly string[] | undefined;
  /** After each step, so many states that power loss could leave of the site that it was at are tried (crash-states.ts). */
  readonly crashStates?: number | undefined;
  /** Take these steps instead of the workload's. */
  readonly history?: readonly Step[] | undefined;
}

export interface Outcome {
  readonly plan: Plan;
  readonly siteCount: number;
  readonly passthrough: readonly string[];
  readonly steps: readonly Step[];
  /** The steps as text, each with what came of it. */
  readonly lines: readonly string[];
  /** What went wrong, most telling first; empty: nothing. */
  readonly wrong: readonly string[];
  /** Equal in two runs exactly when these were the same. */
  readonly trace: string;
  readonly totals: Totals;
}

const STEP_MS = 1;
const CONVERGE_WITHIN_MS = 180_000;
const CONVERGE_SLICE_MS = 250;
const FAULT_SHARE = 0.5;
const ORACLE_SHARE = 0.05;
/** What is wrong with a view mostly stays so: a check after each step is left to histories. */
const CHECK_EVERY_STEPS = 6;

/** Plays a schedule in directories below `root`. */
export async function simulate(plan: Plan, root: string): Promise<Outcome> {
  const simulation = new Simulation(plan, root);
  try {
    return await simulation.run();
  } finally {
    await simulation.dispose();
  }
}

class Simulation {
  private readonly timeline = new Timeline();
  private readonly random: Random;
  private readonly network: Network;
  private readonly archive = new Archive();
  private readonly sites: Site[];
  private readonly passthrough: readonly string[];
  private readonly processes: Process[];
  private readonly bytes = new AcknowledgedBytes();
  private readonly totals = new Totals();
  private readonly steps: Step[] = [];
  private readonly lines: string[] = [];
  private readonly wrong: string[] = [];
  private readonly trace = createHash('sha256');
  private readonly directory: string;
  private readonly shownAtKill = new ShownAtKill();
  private readonly checkedCommits = new Map<Site, number>();
  /** Steps since the sites were checked last. */
  private unchecked = 0;
  /** Whether disks fail in this schedule, and power. */
  private readonly hasFaults: boolean;
  private isRotten = false;
  /** Collections, evictions and changes of what is kept that are under way. */
  private contentWork = 0;
  private readonly setIdDrops = new Set<string>();
  /** Changes of other sites that the sites hold, counted when they last agreed. */
  private changesMerged = 0;
  private directories = 0;

  constructor(
    private readonly plan: Plan,
    root: string,
  ) {
    this.random = new Random(plan.seed);
    // Drawn in any case: a replay with the same number of sites then draws the same of everything else.
    const drawn = drawSiteCount(this.random);
    const count = plan.sites ?? drawn;
    this.directory = join(root, `schedule-${plan.seed}`);
    mkdirSync(this.directory, { recursive: true });
    const isLinked = drawLinks(this.random, count);
    this.hasFaults = this.random.fork('faults').chance(FAULT_SHARE);
    this.network = new Network(this.timeline, this.random.fork('network'), isLinked);
    const nextClock = drawClocks(this.random);
    const names = SITE_NAMES.slice(0, count);
    this.passthrough = plan.passthrough ?? drawPassthrough(this.random, names);
    this.sites = founded(names, root).sites.map(({ directory, ...identity }) => {
      const own = this.newDirectory();
      copyState(directory, own);
      const around = {
        timeline: this.timeline,
        network: this.network,
        archive: this.archive,
        totals: this.totals,
        remembersSyncs:
          this.plan.crashStates !== undefined ||
          (this.plan.history ? this.plan.history.some(({ verb }) => verb === 'power') : this.hasFaults),
        newDirectory: () => this.newDirectory(),
        setIdDrops: this.setIdDrops,
        failed: (error: Error) => void this.wrong.push(`error: at ${identity.name}: ${error.stack ?? error.message}`),
      };
      const crashed = (crash: Crash): void => {
        this.totals.add('crashes in the middle of something');
        this.crashed(site, crash);
      };
      const hasPassthrough = this.passthrough.includes(identity.name);
      const site: Site = new Site(
        identity,
        own,
        around,
        this.random.fork(identity.name),
        nextClock(),
        crashed,
        hasPassthrough,
      );
      return site;
    });
    this.processes = this.sites.map((site) => new Process(site, this.bytes));
  }

  private newDirectory(): string {
    return join(this.directory, `state-${this.directories++}`);
  }

  async run(): Promise<Outcome> {
    try {
      for (const site of this.sites) site.start();
      await this.timeline.run(1_000);
      const workload = new Workload(
        this.random.fork('workload'),
        this.hasFaults,
        this.sites.map(({ name }) => name),
      );
      const count = this.plan.history?.length ?? this.plan.steps ?? 20 + Math.floor(this.random.logUniform(1, 110));
      for (let i = 0; i < count && this.wrong.length === 0; i++)
        await this.take(this.plan.history?.[i] ?? workload.next(this.scenes()));
      if (this.wrong.length === 0 && this.steps.at(-1)?.verb !== 'converge')
        await this.take({ site: '', verb: 'converge', words: [] });
    } catch (error) {
      this.wrong.push(`error: ${(error as Error).stack ?? (error as Error).message}`);
    }
    const { connections, sent, lost } = this.network.counts;
    this.totals.add('connections', connections);
    this.totals.add('messages', sent);
    this.totals.add('messages lost', lost);
    this.totals.add('schedules');
    this.totals.add('simulated seconds', Math.round(this.timeline.nowMs / 1000));
    this.totals.add('events', this.timeline.count);
    this.totals.add('changes merged', this.changesMerged);
    return {
      plan: this.plan,
      siteCount: this.sites.length,
      passthrough: this.passthrough,
      steps: this.steps,
      lines: this.lines,
      wrong: this.wrong,
      trace: this.trace.digest('hex'),
      totals: this.totals,
    };
  }

  async dispose(): Promise<void> {
    for (const site of this.sites) site.abandon();
    await new Promise((resolve) => setImmediate(resolve));
    rmSync(this.directory, { recursive: true, force: true });
  }

  private scenes(): Scene[] {
    return this.sites.map((site) => {
      const process = this.processes[site.index]!;
      process.begin('');
      return { name: site.name, isUp: site.life !== null, openNames: process.openNames, look: () => this.look(site) };
    });
  }

  private site(name: string): Site {
    const site = this.sites.find((each) => each.name === name);
    if (!site) throw new Error(`no site is called ${name}`);
    return site;
  }

  // ── steps ───────────────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Somebody lists all that a site shows before it is decided what comes next. Of no time, and nothing of the site goes on after it. */
  private look({ name, index, life }: Site): readonly ShownPath[] {
    const step = { site: name, verb: LOOK, words: [] };
    const text = formatStep(step);
    this.steps.push(step);
    this.lines.push(text);
    this.trace.update(`${text}\n`);
    if (!life) return [];
    const process = this.processes[index]!;
    process.begin('');
    return process.paths();
  }

  private async take(step: Step): Promise<void> {
    if (step.verb === LOOK) return void this.look(this.site(step.site));
    const text = formatStep(step);
    this.steps.push(step);
    let result: string;
    try {
      result = step.site === '' || EVENTS.has(step.verb) ? await this.event(step) : this.call(step, text);
    } catch (error) {
      this.lines.push(`${text}   # failed`);
      throw error;
    }
    this.lines.push(result === '' ? text : `${text}   # ${result}`);
    this.trace.update(`${text} ${result}\n`);
    await this.timeline.run(STEP_MS);
    if (this.plan.crashStates !== undefined && step.site !== '') this.tryCrashStates(this.site(step.site));
    const isDue = this.plan.history !== undefined || ++this.unchecked === CHECK_EVERY_STEPS;
    if (!isDue) return;
    this.unchecked = 0;
    for (const site of this.sites) this.check(site, site.name === step.site);
  }

  private tryCrashStates(site: Site): void {
    if (this.isRotten || !site.life || site.disk.refusals > 0) return;
    const { name, siteId, config, life } = site;
    // What is shown now and was synced: the rest may have been done away with by what other sites did.
    const process = this.processes[site.index]!;
    process.begin('');
    const shown = new Set<string>();
    for (const content of process.contents()) for (const mark of marksIn(content)) shown.add(mark);
    const synced = new Set([...this.bytes.syncedAt(name)].filter((mark) => shown.has(mark)));
    const crashSite = {
      name,
      siteId,
      slot: config.slot,
      loseTo: (random: Random, directory: string) => void site.disk.loseTo(random, directory),
      durable: life.durable.vector,
      nowUs: site.clock.latestUs,
    };
    for (let i = 0; i < this.plan.crashStates!; i++) {
      this.totals.add('crash states');
      const random = this.random.fork(`crash state ${this.steps.length} ${i}`);
      const wrong = tryCrashState(crashSite, this.newDirectory(), random, synced);
      this.wrong.push(...wrong.map((what) => `crash state ${i} of ${name} after step ${this.steps.length}: ${what}`));
    }
  }

  private check(site: Site, touched: boolean): void {
    if (!site.life) return;
    const { lastCommit } = site.volume.folding;
    if (!touched && this.checkedCommits.get(site) === lastCommit) return;
    this.checkedCommits.set(site, lastCommit);
    this.wrong.push(...checkSite(site), ...checkAcknowledged(site, this.sites));
  }

  private async event({ site, verb, words }: Step): Promise<string> {
    switch (verb) {
      case 'wait':
        await this.timeline.run(Number(words[0]));
        return '';
      case 'partition':
        return this.partition(words);
      case 'mute':
        this.totals.add('one-way links');
        this.network.silence(this.site(words[0]!).index, this.site(words[1]!).index);
        return '';
      case 'reset':
        this.network.reset(this.site(words[0]!).index, this.site(words[1]!).index);
        return '';
      case 'heal':
        this.network.heal();
        return '';
      case 'converge':
        return this.converge();
      case 'kill':
        return this.crash(this.site(site), 'killed', words);
      case 'power':
        return this.crash(this.site(site), 'power lost', words);
      case 'full':
        this.totals.add('full disks');
        this.site(site).disk.fullness = words[0] as Fullness;
        return '';
      case 'space':
        this.site(site).disk.fullness = 'no';
        return '';
      case 'fail':
        this.site(site).disk.failLater(words[0] as DiskCall, Number(words[1]));
        return '';
      case 'rot':
        return this.rot(this.site(site), Number(words[0]));
      case 'collect':
      case 'evict':
      case 'content':
        return this.content(this.site(site), verb, words);
      case 'restart':
        if (this.site(site).disk.looksFull) return 'has no space';
        if (this.site(site).life) return 'runs';
        this.start(this.site(site));
        return '';
      case 'clock':
        this.totals.add('clock jumps');
        this.site(site).clock.jump(Number(words[0]));
        return '';
      default:
        throw new Error(`${verb} is no event`);
    }
  }

  private partition(words: readonly string[]): string {
    this.totals.add('partitions');
    this.network.heal();
    const groups = words
      .join(' ')
      .split('|')
      .map((group) =>
        group
          .trim()
          .split(' ')
          .map((name) => this.site(name).index),
      );
    for (const group of groups)
      for (const a of group)
        for (const other of groups) if (other !== group) for (const b of other) this.network.silence(a, b);
    return '';
  }

  private crash(site: Site, crash: Crash, words: readonly string[]): string {
    const isAtStart = words[0] === 'starting';
    if ((site.life !== null) === isAtStart) return isAtStart ? 'runs' : 'is down';
    this.totals.add(crash === 'killed' ? 'crashes' : 'power losses');
    if (isAtStart || words[0] === 'after') {
      site.killLater(Number(words[1]), crash);
      return '';
    }
    // Nothing of it is under way: what callers saw is what they were told is done.
    const process = this.processes[site.index]!;
    process.begin('');
    if (crash === 'killed') this.shownAtKill.note(site, process);
    const came = site.kill(crash);
    // The look at it was the moment at which power was to fail.
    if (came !== crash) this.shownAtKill.forget(site);
    this.crashed(site, came);
    return '';
  }

  private crashed(site: Site, crash: Crash): void {
    if (crash === 'killed') return;
    const elsewhere = new Set<string>();
    for (const [i, process] of this.processes.entries()) {
      if (!this.sites[i]!.life || this.sites[i] === site) continue;
      process.begin('');
      for (const content of process.contents()) {
        // A mixture of writes that were being made when its version was: what is made of the file next may have lost the latest of them.
        if (!this.bytes.wasWritten(content)) continue;
        for (const mark of marksIn(content)) elsewhere.add(mark);
      }
    }
    this.bytes.powerLost(site.name, elsewhere);
  }

  private rot(site: Site, choice: number): string {
    if (!site.life) return 'is down';
    // What is damaged was written first.
    if (site.disk.looksFull) return 'has no space';
    // What this site said that it keeps, another is about to give up.
    if (this.contentWork > 0) return 'something is being given up';
    const others = this.sites.filter((other) => other !== site);
    if (!site.rot(choice, others)) return 'nothing that others hold';
    this.totals.add('disk faults: bit rot');
    this.isRotten = true;
    return '';
  }

  /** What a site keeps of the files' content. It goes on while the history does. */
  private content(site: Site, verb: string, [word = '']: readonly string[]): string {
    const { life } = site;
    if (!life) return 'is down';
    const isEverything = life.content.policy === 'everything';
    let done: Promise<number>;
    if (verb === 'collect') done = life.collector.collect().then(({ collected }) => collected!.discardedObjects);
    else if (verb === 'evict') {
      if (isEverything) return 'keeps everything';
      // What others keep may be damaged, and nobody there has noticed yet.
      if (this.isRotten) return 'has damage';
      done = life.collector.evict(EVERYTHING, []).then(({ objects }) => objects);
    } else {
      // Somebody has to keep what others give up.
      if (site === this.sites[0]) return 'keeps everything';
      done = life.content.choose({ policy: word === 'everything' ? 'everything' : 'on-demand' }).then(() => 0);
    }
    this.totals.add(`content: ${verb}`);
    this.contentWork++;
    const ended = (): void => void this.contentWork--;
    done.then(ended, ended);
    done.then(
      (objects) => this.totals.add(`content: objects given up by ${verb}`, objects),
      (error: Error) => {
        if (life.dead || site.disk.refusals > 0 || /being changed already/.test(error.message)) return;
        this.wrong.push(`error: at ${site.name}: ${verb} failed: ${error.stack ?? error.message}`);
      },
    );
    return '';
  }

  /** A site starts again, and shows what it showed when it was killed. */
  private start(site: Site): void {
    if (!site.start()) return this.shownAtKill.forget(site);
    const process = this.processes[site.index]!;
    process.begin('');
    this.wrong.push(...this.shownAtKill.check(site, process));
  }

  private call(step: Step, text: string): string {
    const site = this.site(step.site);
    const process = this.processes[site.index]!;
    site.afterWork(); // a crash whose moment was in the background comes before this call
    if (!site.life) return 'is down';
    process.begin(text);
    this.totals.add('operations');
    let result = '';
    try {
      result = perform(process, step) ?? '';
    } catch (error) {
      if (error instanceof PosixError) result = error.code;
      else if (error instanceof AbsentObjects) {
        result = 'bytes not here yet';
        site.life?.content.needed(error.ids, null);
      } else if (error instanceof Killed) result = 'killed meanwhile';
      else if (error instanceof CorruptionError && this.isRotten) result = 'EIO, damaged';
      else if (site.disk.refusals > 0) result = `EIO, ${(error as Error).message}`;
      else throw error;
      this.totals.add(`operations: ${result}`);
    }
    site.wake();
    return result;
  }

  // ── convergence ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

  private async converge(): Promise<string> {
    this.network.heal();
    for (const site of this.sites) {
      site.afterWork();
      site.killLater(0);
      site.disk.repair();
      if (!site.life) this.start(site);
    }
    const untilMs = this.timeline.nowMs + CONVERGE_WITHIN_MS;
    let open = true;
    do {
      await this.timeline.run(CONVERGE_SLICE_MS);
      if (this.wrong.length > 0) return 'failed';
      // A daemon that ended by an error of its disk from before may do so only now.
      for (const site of this.sites) if (!site.life) this.start(site);
      if (open) open = !this.closeHandles();
      if (this.timeline.nowMs > untilMs) {
        this.wrong.push(`not converged within ${CONVERGE_WITHIN_MS} ms: ${this.sites.map(standing).join('; ')}`);
        return 'failed';
      }
    } while (open || !areAtRest(this.sites) || !this.isAllReadable());
    for (const site of this.sites) this.check(site, true);
    if (this.wrong.length > 0) return 'failed';
    for (const process of this.processes) process.begin('');
    const { wrong, conflicts, digest } = checkConverged(this.sites, this.processes, this.bytes);
    this.wrong.push(...wrong);
    for (const { kind } of conflicts) this.totals.add(`conflicts: ${kind}`);
    this.totals.add('convergences');
    this.changesMerged = this.sites.reduce((sum, site) => sum + site.changesOfOthers, 0);
    if (this.random.chance(ORACLE_SHARE)) {
      this.totals.add('checked by Automerge');
      this.wrong.push(...checkOracle(this.random.pick(this.sites)!));
    }
    this.trace.update(digest);
    this.totals.add('merges of content', mergesOfContent(this.sites[0]!));
    return `${digest.slice(0, 8)}, ${conflicts.length} conflicts, ${this.bytes.count} marks`;
  }

  /** What is damaged, or given up, comes when it is read. */
  private isAllReadable(): boolean {
    // One that is yet to find what it lacks, of what it is to keep from now on, keeps nothing that could be counted on.
    const areKeepers = this.sites.every(({ life }) => life!.content.keepsAll);
    return (areKeepers && !this.isRotten) || areReadable(this.sites, this.processes);
  }

  /** Programs end; false when one could not yet. */
  private closeHandles(): boolean {
    for (const [i, process] of this.processes.entries()) {
      process.begin('');
      for (const name of process.openNames) process.close(name);
      this.sites[i]!.wake();
    }
    return true;
  }
}

/** A step of a history that a workload never chooses: it is how it comes to choose. */
const LOOK = 'look';
const EVENTS = new Set('kill restart clock power full space fail rot collect evict content'.split(' '));
/** More than there is. */
const EVERYTHING = { bytes: 2 ** 50 };

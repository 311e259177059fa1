#!/usr/bin/env node
// bench.ts — `make bench`: the local filesystem, bindfs over it and a fresh volume, side by side in one run.
// Places take turns within every round, so that a machine that gets slower or busier meanwhile does so for all of them; figures are
// medians over the rounds, after one untimed turn. Exit code 2: wrong usage.

import { cpSync } from 'node:fs';
import { cpus, release } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { writeCProject } from './bench/c-project.js';
import { compileFsbench, runFsbench } from './bench/fsbench.js';
import { RequestTrace, type RequestCounts } from './bench/fuse-requests.js';
import { Measurements, median, percentile, PLACES, type Measurement, type Place } from './bench/measurements.js';
import { comparisonTable, directoryGrowth, growthTable, metadataMean, requestTable } from './bench/report.js';
import { freshName, openTargets, type Target } from './bench/targets.js';
import { Cluster } from './sites/cluster.js';
import { runChecked } from './sites/command.js';
import { runMain, UsageError } from './sites/main-program.js';

const GROUPS = ['metadata', 'small', 'large', 'processes', 'directory', 'build', 'visible', 'requests'] as const;
type Group = (typeof GROUPS)[number];

const USAGE = `usage: bench [--only GROUP,…] [--on PLACE,…] [--rounds N] [--quick] [--size MIB] [--json]
  --only GROUP  ${GROUPS.join(', ')} (default: all)
  --on PLACE    ${PLACES.join(', ')} (default: all; bindfs if it is installed)
  --rounds N    rounds of which medians are taken (default 5)
  --quick       small counts and 2 rounds: to see that it works, not to compare
  --size MIB    size of the large file (default 256)
  --json        print one JSON object instead of tables`;

/** Lets work that a place does after replying end before it is another one's turn. */
const BETWEEN_TURNS_MS = 150;
const BUILD_ROUNDS = 3;

interface Plan {
  readonly groups: ReadonlySet<Group>;
  readonly places: ReadonlySet<Place>;
  readonly rounds: number;
  readonly json: boolean;
  readonly counts: {
    readonly metadata: number;
    readonly small: number;
    readonly random: number;
    readonly processes: number;
    readonly directories: readonly [number, number];
    readonly modules: number;
    readonly visible: number;
    readonly requests: number;
  };
  readonly largeBytes: number;
}

async function main(plan: Plan): Promise<number> {
  const cluster = new Cluster('weft-bench');
  try {
    await measureAll(cluster, plan);
    return 0;
  } finally {
    await cluster.close();
  }
}

/** Null: only help is wanted. */
function readPlan(): Plan | null {
  const { values } = parseArgs({
    options: {
      only: { type: 'string' },
      on: { type: 'string' },
      rounds: { type: 'string' },
      quick: { type: 'boolean', default: false },
      size: { type: 'string' },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) return null;
  const { quick } = values;
  return {
    groups: chosen('--only', values.only, GROUPS),
    places: chosen('--on', values.on, PLACES),
    rounds: positive('--rounds', values.rounds) ?? (quick ? 2 : 5),
    json: values.json,
    counts: {
      metadata: quick ? 300 : 2000,
      small: quick ? 100 : 1000,
      random: quick ? 300 : 4000,
      processes: quick ? 50 : 300,
      directories: [1000, quick ? 5000 : 100_000],
      modules: quick ? 20 : 150,
      visible: quick ? 10 : 100,
      requests: 200,
    },
    largeBytes: (positive('--size', values.size) ?? (quick ? 32 : 256)) * (1 << 20),
  };
}

function chosen<T extends string>(option: string, text: string | undefined, known: readonly T[]): ReadonlySet<T> {
  if (text === undefined) return new Set(known);
  return new Set(
    text.split(',').map((word) => {
      const found = known.find((each) => each === word);
      if (found === undefined) throw new UsageError(`${option} ${word}: there are ${known.join(', ')}`);
      return found;
    }),
  );
}

function positive(option: string, text: string | undefined): number | null {
  if (text === undefined) return null;
  if (!/^[1-9]\d*$/.test(text)) throw new UsageError(`${option} ${text}: a number from 1`);
  return Number(text);
}

async function measureAll(cluster: Cluster, plan: Plan): Promise<void> {
  const program = await compileFsbench(cluster.directory);
  const measurements = new Measurements();
  const targets = await openTargets(cluster, plan.places);
  const places = targets.map(({ place }) => place);
  console.error(targets.map(({ place, description }) => `${place}: ${description}`).join('\n'));
  console.error(`${plan.rounds} rounds, ${cpus().length} CPUs (${cpus()[0]?.model}), Linux ${release()}`);

  await measureCalls(program, plan, targets, measurements);
  if (plan.groups.has('build')) await measureBuilds(cluster, plan, targets, measurements);
  const requests = plan.groups.has('requests') ? await countRequests(cluster, program, plan, targets) : null;
  const visible = plan.groups.has('visible') && places.includes('weft') ? await measureVisible(program, plan) : null;
  report(plan, places, measurements, requests, visible);
}

/** The groups of fsbench, round by round, places in turn. */
async function measureCalls(
  program: string,
  { groups, counts, rounds, largeBytes }: Plan,
  targets: readonly Target[],
  measurements: Measurements,
): Promise<void> {
  // Untimed: code that is compiled while it runs is not what a daemon that is up for days runs.
  for (const target of targets) await runFsbench(program, ['metadata', join(target.directory, freshName()), '500']);
  const [few, many] = counts.directories;
  const runs: readonly { group: Group; args: readonly (string | number)[]; onceOnly?: boolean }[] = [
    { group: 'metadata', args: ['metadata', counts.metadata] },
    { group: 'metadata', args: ['directories', counts.metadata] },
    { group: 'small', args: ['small', counts.small] },
    { group: 'large', args: ['large', counts.random, largeBytes] },
    { group: 'processes', args: ['processes', counts.processes, 8] },
    { group: 'directory', args: ['directory', few] },
    { group: 'directory', args: ['directory', many], onceOnly: true },
  ];
  for (const { args, onceOnly } of runs.filter((each) => groups.has(each.group))) {
    const [command, count, ...rest] = args.map(String) as [string, string, ...string[]];
    for (let round = 0; round < (onceOnly ? 1 : rounds); round++) {
      console.error(`${command} ${count}: round ${round + 1}`);
      for (const target of inTurn(targets, round)) {
        const where = join(target.directory, freshName());
        for (const measurement of await runFsbench(program, [command, where, count, ...rest])) {
          measurements.add(target.place, measurement);
        }
        await sleep(BETWEEN_TURNS_MS);
      }
    }
  }
}

/** `make -j4` of a fresh copy of a C project. */
async function measureBuilds(
  cluster: Cluster,
  { counts, rounds }: Plan,
  targets: readonly Target[],
  measurements: Measurements,
): Promise<void> {
  const project = join(cluster.directory, 'c-project');
  writeCProject(project, counts.modules);
  for (let round = 0; round < Math.min(rounds, BUILD_ROUNDS); round++) {
    console.error(`build: round ${round + 1}`);
    for (const target of inTurn(targets, round)) {
      const copy = join(target.directory, freshName());
      cpSync(project, copy, { recursive: true });
      await sleep(BETWEEN_TURNS_MS);
      const started = performance.now();
      await runChecked('make', ['-j4', '-s', '-C', copy], { timeoutMs: 10 * 60_000 });
      const value = (performance.now() - started) / 1000;
      measurements.add(target.place, { operation: `make -j4, ${counts.modules} C files`, unit: 's', value });
      await runChecked('rm', ['-r', copy]);
    }
  }
}

/** Null where the kernel does not say. */
async function countRequests(
  cluster: Cluster,
  program: string,
  { counts }: Plan,
  targets: readonly Target[],
): Promise<ReadonlyMap<Place, RequestCounts> | null> {
  const trace = await RequestTrace.open(cluster);
  if (trace === null) return null;
  try {
    const byPlace = new Map<Place, RequestCounts>();
    for (const target of targets.filter(({ place }) => place !== 'local')) {
      const both = new Map<string, ReadonlyMap<string, number>>();
      for (const group of ['metadata', 'directories', 'small']) {
        const counted = await trace.count(target.directory, async () => {
          await runFsbench(program, [
            group,
            join(target.directory, freshName()),
            String(counts.requests),
            '0',
            trace.marker,
          ]);
        });
        for (const [operation, requests] of counted) both.set(operation, requests);
      }
      byPlace.set(target.place, both);
    }
    return byPlace;
  } finally {
    trace.close();
  }
}

/** Milliseconds from close(2) at one site until the new content is read at another, one for each write. */
async function measureVisible(program: string, { counts }: Plan): Promise<number[]> {
  console.error('visible');
  const cluster = new Cluster('weft-visible');
  try {
    const [here, there] = [cluster.addSite('here'), cluster.addSite('there')];
    await here.create('visible');
    await there.join(await here.invite());
    await cluster.settle();
    const files = [here, there].map((site) => join(site.mountpoint, 'file'));
    const measured: Measurement[] = await runFsbench(program, ['visible', ...files, String(counts.visible)]);
    return measured.map(({ value }) => value / 1000);
  } finally {
    await cluster.close();
  }
}

function report(
  plan: Plan,
  places: readonly Place[],
  measurements: Measurements,
  requests: ReadonlyMap<Place, RequestCounts> | null,
  visibleMs: readonly number[] | null,
): void {
  const rows = measurements.rows();
  const growth = directoryGrowth(rows, ...plan.counts.directories);
  const means = { bindfs: metadataMean(rows, 'bindfs'), local: metadataMean(rows, 'local') };
  const visible = visibleMs && {
    medianMs: median(visibleMs),
    p95Ms: percentile(visibleMs, 95),
    maxMs: Math.max(...visibleMs),
    writes: visibleMs.length,
  };
  if (plan.json) {
    const byPlace = requests && Object.fromEntries([...requests].map(([place, counts]) => [place, asObject(counts)]));
    const metadataMeans = { 'weft/bindfs': means.bindfs, 'weft/local': means.local };
    console.log(
      JSON.stringify({ rounds: plan.rounds, rows, metadataMeans, growth, visible, requests: byPlace }, null, 1),
    );
    return;
  }
  if (rows.length > 0) {
    console.log(`\nMedians; ratios are of times: below 1, weft is faster.\n${comparisonTable(rows, places)}`);
  }
  for (const [against, mean] of Object.entries(means)) {
    if (mean !== null) console.log(`\nsingle metadata operations, geometric mean: weft/${against} ${mean.toFixed(2)}`);
  }
  if (growth.length > 0) {
    const [few, many] = plan.counts.directories;
    console.log(`\nOne file in a directory of ${many} against one of ${few}:\n${growthTable(growth, places)}`);
  }
  if (visible) {
    const { medianMs, p95Ms, maxMs, writes } = visible;
    console.log(
      `\nclosed at one site, read at another: median ${medianMs.toFixed(1)} ms, 95 % ${p95Ms.toFixed(1)} ms, ` +
        `longest ${maxMs.toFixed(1)} ms (${writes} writes)`,
    );
  }
  if (requests && requests.size > 0) {
    const { requests: calls } = plan.counts;
    const table = requestTable(requests, (operation) =>
      operation === '4k write+fsync' ? Math.ceil(calls / 20) : calls,
    );
    console.log(`\nFUSE requests per operation, counted by the kernel:\n${table}`);
  }
}

function asObject(counts: RequestCounts): Record<string, Record<string, number>> {
  return Object.fromEntries([...counts].map(([operation, requests]) => [operation, Object.fromEntries(requests)]));
}

/** The targets, beginning with another one each round. */
function inTurn(targets: readonly Target[], round: number): Target[] {
  const first = round % targets.length;
  return [...targets.slice(first), ...targets.slice(0, first)];
}

process.exitCode = await runMain(USAGE, readPlan, main);

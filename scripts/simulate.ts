#!/usr/bin/env node
// simulate.ts — `make sim` and `make soak`: plays simulated schedules (lib/sim) and prints what they did, or how one fails.
// Exit code 0: nothing went wrong; 1: something did, and a history that shows it was printed and kept; 2: wrong usage; 128 and more: a
// signal ended it. The simulated disks are gone in any case.

import { readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism, constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { formatHistory, parseHistory } from '../lib/sim/history.js';
import { scratchDirectory } from '../lib/sim/scratch-directory.js';
import { shrink } from '../lib/sim/shrink.js';
import { type Plan, simulate } from '../lib/sim/simulation.js';
import { type Failure, soak } from '../lib/sim/soak.js';
import type { Totals } from '../lib/sim/totals.js';
import { renderTable } from '../lib/cli/text-table.js';

const USAGE = `usage: simulate [--seed N] [--sites N] [--steps N] [--history FILE]
       simulate --schedules N | --minutes N  [--seed FIRST] [--sites N] [--steps N] [--threads N] [--fail-fast]
  --seed N        what decides everything; without it one from the clock
  --sites N       2 to 8; without it, as the seed says
  --steps N       calls and events; without it, as the seed says
  --history FILE  play the steps of a kept history again
  --schedules N   that many seeds from --seed on
  --minutes N     seeds from --seed on for so long
  --crash-states N  with --schedules: after each step try N states that power loss could leave of the site that it was at
  --fail-fast     stop at the first that fails, as it is`;

const PROGRESS_EVERY_MS = 5_000;

async function main(): Promise<number> {
  let values;
  try {
    ({ values } = parseArgs({
      options: {
        seed: { type: 'string' },
        sites: { type: 'string' },
        steps: { type: 'string' },
        history: { type: 'string' },
        schedules: { type: 'string' },
        minutes: { type: 'string' },
        threads: { type: 'string' },
        'fail-fast': { type: 'boolean' },
        'crash-states': { type: 'string' },
      },
    }));
    const number = (
      name: 'seed' | 'sites' | 'steps' | 'schedules' | 'minutes' | 'threads' | 'crash-states',
    ): number | undefined => {
      const text = values![name];
      if (text === undefined || text === '') return undefined;
      if (!(Number(text) >= 0)) throw new Error(`--${name} ${text} is no number`);
      return Number(text);
    };
    const [sites, steps] = [number('sites'), number('steps')];
    if (sites !== undefined && !(sites >= 2 && sites <= 8)) throw new Error(`--sites ${sites}: 2 to 8 are possible`);
    const seed = number('seed') ?? Date.now() % 1_000_000;
    const [schedules, minutes] = [number('schedules'), number('minutes')];
    if (schedules === undefined && minutes === undefined) {
      const plan = values.history ? parseHistory(readFileSync(values.history, 'utf8')) : { seed, sites, steps };
      return await playOne(plan);
    }
    const crashStates = number('crash-states');
    if (crashStates !== undefined) return await replayCrashes(seed, schedules ?? 50, { sites, steps, crashStates });
    return await playMany({
      firstSeed: seed,
      schedules: schedules ?? Infinity,
      withinMs: minutes === undefined ? Infinity : minutes * 60_000,
      sites,
      steps,
      threads: number('threads') ?? availableParallelism(),
      failFast: values['fail-fast'] ?? false,
    });
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n${USAGE}\n`);
    return 2;
  }
}

async function playOne(plan: Plan): Promise<number> {
  const { path } = scratchDirectory();
  onSignal((exitCode) => process.exit(exitCode));
  const startMs = performance.now();
  const outcome = await simulate(plan, path);
  const tookMs = performance.now() - startMs;
  process.stdout.write(`${formatHistory(outcome)}\n${tableOf(outcome.totals)}\n`);
  if (outcome.wrong.length === 0) {
    process.stdout.write(`seed ${plan.seed}: nothing went wrong, in ${tookMs.toFixed(0)} ms\n`);
    return 0;
  }
  process.stdout.write(`seed ${plan.seed} fails:\n  ${outcome.wrong.join('\n  ')}\nlooking for a shorter history …\n`);
  const shrunk = await shrink(outcome, path);
  printFailure({
    seed: plan.seed,
    siteCount: outcome.siteCount,
    stepCount: outcome.steps.length,
    wrong: shrunk.wrong,
    history: formatHistory(shrunk),
  });
  return 1;
}

/** Schedule after schedule, each with many states that a crash could leave. */
async function replayCrashes(firstSeed: number, schedules: number, plan: Omit<Plan, 'seed'>): Promise<number> {
  const { path } = scratchDirectory();
  onSignal((exitCode) => process.exit(exitCode));
  let states = 0;
  const wrong: string[] = [];
  for (let seed = firstSeed; seed < firstSeed + schedules && wrong.length === 0; seed++) {
    const outcome = await simulate({ ...plan, seed }, path);
    states += outcome.totals.of('crash states');
    wrong.push(...outcome.wrong.map((what) => `seed ${seed}: ${what}`));
    process.stderr.write(`seed ${seed}: ${states} crash states so far\n`);
  }
  process.stdout.write(
    `${states} crash states of ${schedules} schedules from seed ${firstSeed} on, ${wrong.length} violations\n`,
  );
  for (const what of wrong.slice(0, 20)) process.stdout.write(`  ${what}\n`);
  return wrong.length === 0 ? 0 : 1;
}

async function playMany(options: Parameters<typeof soak>[0]): Promise<number> {
  const startMs = performance.now();
  let printedMs = startMs;
  const stop = new AbortController();
  let stopCode: number | undefined;
  onSignal((exitCode) => {
    stopCode = exitCode;
    stop.abort();
  });
  const { totals, failures } = await soak(
    options,
    (sofar) => {
      if (performance.now() - printedMs < PROGRESS_EVERY_MS) return;
      printedMs = performance.now();
      const perSecond = (sofar.of('schedules') * 1000) / (performance.now() - startMs);
      process.stderr.write(`soak: ${sofar.of('schedules')} schedules, ${perSecond.toFixed(1)} per second\n`);
    },
    printFailure,
    stop.signal,
  );
  const seconds = (performance.now() - startMs) / 1000;
  process.stdout.write(`${tableOf(totals)}\n`);
  process.stdout.write(
    `seeds from ${options.firstSeed} on: ${totals.of('schedules')} schedules in ${seconds.toFixed(0)} s, ${failures.length} failed\n`,
  );
  return stopCode ?? (failures.length === 0 ? 0 : 1);
}

/** @param act given the exit code that shells know the signal by */
function onSignal(act: (exitCode: number) => void): void {
  for (const signal of ['SIGHUP', 'SIGINT', 'SIGTERM'] as const)
    process.once(signal, () => act(128 + constants.signals[signal]));
}

function printFailure({ seed, siteCount, stepCount, wrong, history }: Failure): void {
  const file = join(tmpdir(), `weft-sim-${seed}.history`);
  writeFileSync(file, history);
  process.stdout.write(`
SEED ${seed} fails: ${wrong[0]}
${wrong
  .slice(1, 10)
  .map((what) => `  ${what}\n`)
  .join('')}the shortest history that was found, of ${stepCount} steps:

${history.replace(/^/gm, '    ')}
make sim HISTORY=${file}          plays it again
make sim SEED=${seed} SITES=${siteCount}          plays the whole schedule
`);
}

function tableOf(totals: Totals): string {
  return renderTable([['WHAT', 'COUNT'], ...totals.entries().map(([what, count]) => [what, String(count)])], 1);
}

process.exitCode = await main();

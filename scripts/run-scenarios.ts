#!/usr/bin/env node
// run-scenarios.ts — plays scenario files: on simulated sites, in milliseconds each, or with --real on sites with real mounts.
// Exit code 0: all came out as expected; 1: some did not; 2: wrong usage or a mistake in a file. See scenarios/README.md.

import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { renderTable } from '../lib/cli/text-table.js';
import { mergeRows } from './scenarios/merge-rows.js';
import { parseScenario } from './scenarios/parse-scenario.js';
import { readyScenarios } from './scenarios/ready-scenarios.js';
import { type Played, ScenarioPlayer } from './scenarios/scenario-player.js';
import type { Scenario } from './scenarios/scenario.js';
import { ScenarioError } from './scenarios/tokens.js';

const USAGE = `usage: run-scenarios [--real] [--only NAME]… [--table] [--keep] [--seed N] [--list] [FILE.scenario…]
  --real       on real mounts (needs FUSE); else on simulated sites
  --only NAME  play only scenarios whose name contains NAME
  --table      show what each site showed before and after each merge, and why; as for a FILE that is named
  --keep       leave the files of a failed scenario where they are, and say where (--real)
  --seed N     other delays, the same for the same N (simulated)
  --merge-table  play what lib/crdt/MERGE.md says, simulated and (--real) on mounts, and print it row by row
  --published  play cases that others published, likewise, and print what their systems did and what Weft shows
  --list       print the names`;

async function main(): Promise<number> {
  let options;
  try {
    options = parseArgs({
      options: {
        real: { type: 'boolean', default: false },
        only: { type: 'string', multiple: true },
        table: { type: 'boolean', default: false },
        keep: { type: 'boolean', default: false },
        seed: { type: 'string', default: '1' },
        'merge-table': { type: 'boolean', default: false },
        published: { type: 'boolean', default: false },
        list: { type: 'boolean' },
        help: { type: 'boolean', short: 'h' },
      },
      allowPositionals: true,
    });
  } catch (error) {
    console.error(`${(error as Error).message}\n${USAGE}`);
    return 2;
  }
  const { values, positionals } = options;
  if (values.help) {
    console.log(USAGE);
    return 0;
  }
  let scenarios: Scenario[];
  try {
    scenarios = readScenarios(positionals).filter(
      ({ name }) => !values.only || values.only.some((part) => name.includes(part)),
    );
  } catch (error) {
    if (!(error instanceof ScenarioError)) throw error;
    console.error(error.message);
    return 2;
  }
  if (scenarios.length === 0) {
    console.error(`no scenario is named like ${values.only?.join(' or ')}; --list prints the names`);
    return 2;
  }
  if (values.list) {
    for (const scenario of scenarios) console.log(scenario.name);
    return 0;
  }
  const player = new ScenarioPlayer(Number(values.seed), values.table || positionals.length > 0, values.keep);
  try {
    if (values['merge-table']) return await playRows(player, scenarios, values.real);
    if (values.published) return await playPublished(player, scenarios, values.real);
    return await playAll(player, scenarios, values.real);
  } finally {
    player.close();
  }
}

async function playAll(player: ScenarioPlayer, scenarios: readonly Scenario[], real: boolean): Promise<number> {
  const all: Played[] = [];
  for (const scenario of scenarios) {
    const played = await player.play(scenario, real ? 'real' : 'simulator');
    print(played);
    all.push(played);
  }
  report(all);
  return all.some(({ failures }) => failures.length > 0) ? 1 : 0;
}

/** Plays the rows of the merge rules, on both stages with `real`. */
async function playRows(player: ScenarioPlayer, all: readonly Scenario[], real: boolean): Promise<number> {
  const cells = new Map<string, string[]>();
  let failed = 0;
  for (const scenario of all.filter(({ rows }) => rows.length > 0)) {
    const plays = await playOnStages(player, scenario, real);
    for (const played of plays) {
      if (played.failures.length > 0) failed++;
      print(played);
    }
    cells.set(
      scenario.name,
      plays.map((played) => verdict(played)),
    );
  }
  const rows = mergeRows().flatMap(({ name }) =>
    all
      .filter((scenario) => scenario.rows.includes(name))
      .map((scenario, index) => [index === 0 ? name : '', scenario.name, ...cells.get(scenario.name)!]),
  );
  console.log(
    `\n${renderTable([['ROW OF MERGE.MD', 'SCENARIO', 'SIMULATOR', ...(real ? ['REAL MOUNTS'] : [])], ...rows])}`,
  );
  console.log(
    `\n${mergeRows().length} rows, ${cells.size} scenarios, ${failed === 0 ? 'all hold' : `${failed} do not hold`}`,
  );
  return failed === 0 ? 0 : 1;
}

/** Plays what others published, on both stages with `real`, and compares. */
async function playPublished(player: ScenarioPlayer, all: readonly Scenario[], real: boolean): Promise<number> {
  let [cases, failed] = [0, 0];
  for (const scenario of all.filter(({ published }) => published.length > 0)) {
    const plays = await playOnStages(player, scenario, real);
    console.log(scenario.name.replaceAll('-', ' '));
    for (const { where, theirs } of scenario.published) {
      cases++;
      console.log(`  ${where}`);
      for (const what of theirs) console.log(`    ${what}`);
    }
    const verdicts = plays.map((played, i) => `${i === 0 ? 'simulated' : 'on mounts'}: ${verdict(played)}`);
    console.log(`  Weft (${verdicts.join(', ')})`);
    for (const what of plays[0]!.outcome) console.log(`    ${what}`);
    for (const failure of plays.flatMap(({ failures }) => failures)) console.log(`  ${failure}`);
    console.log('');
    failed += plays.filter(({ failures }) => failures.length > 0).length;
  }
  console.log(`${cases} published cases, ${failed === 0 ? 'all as expected' : `${failed} plays not as expected`}`);
  return failed === 0 ? 0 : 1;
}

async function playOnStages(player: ScenarioPlayer, scenario: Scenario, real: boolean): Promise<Played[]> {
  const plays = [await player.play(scenario, 'simulator')];
  if (real) plays.push(await player.play(scenario, 'real'));
  return plays;
}

/** The given files, or all of scripts/scenarios. @throws ScenarioError */
function readScenarios(files: readonly string[]): Scenario[] {
  return files.length > 0 ? files.map((file) => parseScenario(file, textOf(file))) : readyScenarios();
}

function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw new ScenarioError(
      file,
      null,
      code === 'ENOENT' ? 'there is no such file; --list names the ready ones' : message,
    );
  }
}

function print(played: Played): void {
  const { scenario, failures, skipped, tables, ms } = played;
  for (const table of tables) console.log(`${table}\n`);
  const why = skipped === null ? '' : `: ${skipped}`;
  console.log(`${verdict(played).padEnd(8)} ${duration(ms).padStart(8)}  ${scenario.name}${why}`);
  for (const failure of failures) console.log(`  ${failure}`);
}

function report(all: readonly Played[]): void {
  const rows = all.map((played) => [
    played.scenario.name,
    verdict(played),
    played.scenario.sites.length.toString(),
    played.scenario.steps.length.toString(),
    duration(played.ms),
  ]);
  if (all.length > 1) console.log(`\n${renderTable([['SCENARIO', 'RESULT', 'SITES', 'STEPS', 'TIME'], ...rows], 2)}`);
  const failed = all.filter(({ failures }) => failures.length > 0).length;
  const skipped = all.filter((played) => played.skipped !== null).length;
  const notHere = skipped > 0 ? `, ${skipped} for the other stage` : '';
  console.log(`\n${all.length - failed - skipped} scenarios as expected, ${failed} not${notHere}`);
}

function verdict({ failures, skipped }: Played): string {
  return skipped !== null ? 'not here' : failures.length === 0 ? 'ok' : 'FAILED';
}

function duration(ms: number): string {
  return ms < 1000 ? `${ms.toFixed(0)} ms` : `${(ms / 1000).toFixed(1)} s`;
}

process.exitCode = await main();

#!/usr/bin/env node
// run-scenarios.ts — plays the scenario files on real sites with real mounts: `make scenarios`.
// Exit code 0: all came out as expected; 1: some did not; 2: wrong usage or a mistake in a file. See scenarios/README.md.

import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { parseArgs } from 'node:util';
import { Cluster } from './sites/cluster.js';
import { projectRoot } from './sites/project-root.js';
import { textTable } from './sites/text-table.js';
import { parseScenario } from './scenarios/parse-scenario.js';
import { playScenario } from './scenarios/play-scenario.js';
import type { Scenario } from './scenarios/scenario.js';
import { ClusterStage } from './scenarios/stage.js';
import { ScenarioError } from './scenarios/tokens.js';

const USAGE = `usage: run-scenarios [--only NAME]… [--keep] [--list] [FILE.scenario…]
  --only NAME  play only scenarios whose name contains NAME
  --keep       leave the files of a failed scenario where they are, and say where
  --list       print the names`;

interface Result {
  readonly scenario: Scenario;
  readonly failures: readonly string[];
  readonly seconds: number;
}

async function main(): Promise<number> {
  let options;
  try {
    options = parseArgs({
      options: {
        only: { type: 'string', multiple: true },
        keep: { type: 'boolean' },
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
    if (!(error instanceof ScenarioError) && (error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    console.error((error as Error).message);
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
  const results: Result[] = [];
  for (const scenario of scenarios) {
    const result = await play(scenario, values.keep ?? false);
    const verdict = result.failures.length === 0 ? 'ok    ' : 'FAILED';
    console.log(`${verdict} ${result.seconds.toFixed(1).padStart(5)} s  ${scenario.name}`);
    for (const failure of result.failures) console.log(`  ${failure}`);
    results.push(result);
  }
  report(results);
  return results.some((result) => result.failures.length > 0) ? 1 : 0;
}

/** The given files, or all of scripts/scenarios. */
function readScenarios(files: readonly string[]): Scenario[] {
  const directory = join(projectRoot(), 'scripts/scenarios');
  const all =
    files.length > 0
      ? files
      : readdirSync(directory)
          .filter((name) => name.endsWith('.scenario'))
          .toSorted()
          .map((name) => relative(process.cwd(), join(directory, name)));
  return all.map((file) => parseScenario(file, readFileSync(file, 'utf8')));
}

async function play(scenario: Scenario, keep: boolean): Promise<Result> {
  const started = performance.now();
  const cluster = new Cluster('weft-scenario');
  let failures: string[] = [];
  try {
    const stage = await ClusterStage.open(cluster, scenario);
    failures = await playScenario(scenario, stage);
  } catch (error) {
    failures = [`${scenario.file}: ${(error as Error).message}`];
  }
  if (failures.length > 0) {
    for (const site of cluster.sites.values()) {
      const troubles = site.logTroubles();
      if (troubles.length > 0) failures.push([`log of ${site.name}:`, ...troubles].join('\n    '));
    }
    if (keep) failures.push(`kept in ${cluster.directory}`);
  }
  try {
    await cluster.close(keep && failures.length > 0);
  } catch (error) {
    failures.push(`cleaning up: ${(error as Error).message}`);
  }
  return { scenario, failures, seconds: (performance.now() - started) / 1000 };
}

function report(results: readonly Result[]): void {
  const rows = results.map(({ scenario, failures, seconds }) => [
    scenario.name,
    failures.length === 0 ? 'ok' : 'FAILED',
    scenario.sites.length.toString(),
    scenario.steps.length.toString(),
    seconds.toFixed(1),
  ]);
  console.log(`\n${textTable(['SCENARIO', 'RESULT', 'SITES', 'STEPS', 'SECONDS'], rows, 2)}`);
  const failed = results.filter((result) => result.failures.length > 0).length;
  console.log(`\n${results.length - failed} scenarios as expected, ${failed} not`);
}

process.exitCode = await main();

#!/usr/bin/env node
// bench-merge.ts — `make bench-merge`: two mounted sites work apart, then merge, while somebody goes on working at both.
// Prints how long each took until it showed all that the other had done, and how long local operations took meanwhile and in quiet.
// Exit code 1: the sites differ, or a target is missed (with --check); 2: wrong usage.

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { LatencyProbe } from './bench/latencies.js';
import { percentile } from './bench/measurements.js';
import { markerOf, start } from './bench/partition-work.js';
import { Cluster } from './sites/cluster.js';
import { runChecked } from './sites/command.js';
import type { Site } from './sites/site.js';
import { renderTable } from '../lib/cli/text-table.js';

const USAGE = `usage: bench-merge [--operations N] [--conflict-every N] [--check]
  --operations N  of each site during the partition (default 100000)
  --conflict-every N  of so many operations one conflicts (default 100)
  --check         fail when a merge takes longer than 10 s, or the 99th percentile of local operations is above 5 ms`;

const MERGE_MAX_S = 10;
const LOCAL_P99_MAX_MS = 5;
const QUIET_MS = 3000;
const POLL_MS = 10;

/** What local operations took at each site while `act` was under way. */
async function latenciesDuring(sites: readonly Site[], act: () => Promise<void>): Promise<number[][]> {
  const probes = await Promise.all(sites.map((site) => LatencyProbe.start(site.mountpoint)));
  const acted = await Promise.allSettled([act()]);
  const latencies = await Promise.all(probes.map((probe) => probe.stop()));
  if (acted[0].status === 'rejected') throw acted[0].reason;
  return latencies;
}

/** Seconds until a site shows what the other one did last. */
async function arrival(site: Site, from: Site, since: number): Promise<number> {
  while (!existsSync(join(site.mountpoint, markerOf(from.name)))) await sleep(POLL_MS);
  return (performance.now() - since) / 1000;
}

function ms(values: readonly number[], percent: number): string {
  return percentile(values, percent).toFixed(2);
}

async function measure(cluster: Cluster, operations: number, conflictEvery: number): Promise<boolean> {
  const paris = cluster.addSite('paris');
  const oslo = cluster.addSite('oslo');
  const sites = [paris, oslo] as const;
  await paris.create('merge');
  await oslo.join(await paris.invite());
  start(paris.mountpoint, operations, conflictEvery);
  await cluster.settle();
  for (const site of sites) await site.pause();

  const script = new URL('bench/partition-work.js', import.meta.url).pathname;
  const working = performance.now();
  await Promise.all(
    sites.map(({ mountpoint, name }) =>
      runChecked(process.execPath, [script, mountpoint, name, String(operations), String(conflictEvery)], {
        timeoutMs: 10 * 60_000,
      }),
    ),
  );
  console.log(`${operations} operations at each of two sites: ${((performance.now() - working) / 1000).toFixed(1)} s`);

  const quiet = await latenciesDuring(sites, () => sleep(QUIET_MS));
  let merged: number[] = [];
  const busy = await latenciesDuring(sites, async () => {
    await paris.resume();
    const since = performance.now();
    const resumed = oslo.resume();
    merged = await Promise.all([arrival(paris, oslo, since), arrival(oslo, paris, since)]);
    await resumed;
  });
  await cluster.settle();
  const states = await Promise.all(sites.map((site) => site.status()));
  const asked = performance.now();
  await paris.weft(['conflicts', '--json'], { cwd: paris.mountpoint });
  console.log(`weft conflicts: ${((performance.now() - asked) / 1000).toFixed(2)} s`);

  const rows = sites.map((site, i) => [
    site.name,
    merged[i]!.toFixed(1),
    ...[50, 99, 100].map((percent) => ms(busy[i]!, percent)),
    ...[50, 99, 100].map((percent) => ms(quiet[i]!, percent)),
    String(states[i]!.conflicts),
  ]);
  const heads = ['p50', 'p99', 'max'];
  console.log(
    renderTable(
      [
        ['site', 'merged (s)', ...heads.map((h) => `local ${h} (ms)`), ...heads.map((h) => `quiet ${h}`), 'conflicts'],
        ...rows,
      ],
      1,
    ),
  );
  if (states[0]!.digest !== states[1]!.digest) throw new Error('the sites show different trees');
  return Math.max(...merged) <= MERGE_MAX_S && busy.every((values) => percentile(values, 99) <= LOCAL_P99_MAX_MS);
}

async function main(): Promise<number> {
  const options = {
    operations: { type: 'string', default: '100000' },
    'conflict-every': { type: 'string', default: '100' },
    check: { type: 'boolean', default: false },
  } as const;
  let values;
  try {
    ({ values } = parseArgs({ options }));
    for (const name of ['operations', 'conflict-every'] as const)
      if (!/^[1-9]\d*$/.test(values[name])) throw new Error(`--${name} takes a number above 0`);
  } catch (error) {
    console.error(`${(error as Error).message}\n${USAGE}`);
    return 2;
  }
  const cluster = new Cluster('weft-merge');
  try {
    const isGood = await measure(cluster, Number(values.operations), Number(values['conflict-every']));
    if (values.check && !isGood) console.error(`more than ${MERGE_MAX_S} s, or more than ${LOCAL_P99_MAX_MS} ms`);
    return values.check && !isGood ? 1 : 0;
  } catch (error) {
    console.error((error as Error).message);
    return 1;
  } finally {
    await cluster.close();
  }
}

process.exitCode = await main();

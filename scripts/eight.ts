#!/usr/bin/env node
// eight.ts — `make eight`: eight sites in network namespaces, real daemons and real mounts, for minutes of cp, git, mv, rm and editors' saving,
// while the network is cut, daemons get SIGKILL, sites join, are retired and come back from backups, and clocks jump; all by one seed.
// Afterwards everything is healed, and eight/verdict.ts says what must hold then. Exit code 0: it does; 1: it does not; 2: wrong usage.
// The seed decides what happens, not when: two runs of one seed are alike, not equal.

import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { writeSourceTree } from './eight/copied-tree.js';
import { Fleet } from './eight/fleet.js';
import { shrinkJournals } from './eight/small-journal.js';
import { cleanStates, keptAreas, keptVersions, quiet, sameTrees, wholeRepositories } from './eight/verdict.js';
import { namespacesLack } from './namespaces/namespace.js';
import { SwitchedNetwork } from './namespaces/switched-network.js';
import { Cluster } from './sites/cluster.js';
import { runMain, UsageError } from './sites/main-program.js';
import { clockLibrary, removeLeftovers } from './sites/wrong-clock.js';
import { renderTable, sizeText } from '../lib/cli/text-table.js';
import { Random } from '../lib/sim/random.js';

const USAGE = `usage: eight [--minutes N] [--seed N] [--sites N] [--keep]
  --minutes N  how long there is work (default 30)
  --seed N     what decides what happens; without it one from the clock
  --sites N    2 to 10 (default 8)
  --keep       when something is wrong, leave mountpoints' state and logs where they are`;

const EVENT_EVERY_MS = 4_000;
/** The more sites there are, the less each does: what one writes all take in, on the same processors. */
const PAUSE_MS_PER_SITE = 300;
const CLOCK_MAX_S = 2 * 86_400;
const QUIET_TIMEOUT_MS = 15 * 60_000;
const JOURNAL_TIMEOUT_MS = 6 * 60_000;

interface Options {
  readonly minutes: number;
  readonly seed: number;
  readonly sites: number;
  readonly keep: boolean;
}

function readOptions(): Options | null {
  const { values } = parseArgs({
    options: {
      minutes: { type: 'string', default: '30' },
      seed: { type: 'string', default: '' },
      sites: { type: 'string', default: '8' },
      keep: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return null;
  const [minutes, sites] = [Number(values.minutes), Number(values.sites)];
  const seed = values.seed === '' ? Date.now() % 1_000_000 : Number(values.seed);
  if (!(minutes > 0)) throw new UsageError(`--minutes ${values.minutes}: a number above 0 is wanted`);
  if (!(sites >= 2 && sites <= 10)) throw new UsageError(`--sites ${values.sites}: 2 to 10 are possible`);
  if (!Number.isSafeInteger(seed)) throw new UsageError(`--seed ${values.seed}: a number is wanted`);
  return { minutes, seed, sites, keep: values.keep };
}

const startMs = performance.now();
function say(what: string): void {
  console.log(`${((performance.now() - startMs) / 1000).toFixed(1).padStart(7)} s  ${what}`);
}

async function happen(fleet: Fleet, random: Random, sites: number, counts: Map<string, number>): Promise<void> {
  const isFull = fleet.members.length >= sites;
  const what = random.weighted({
    cut: 18,
    heal: 12,
    kill: 16,
    restart: 6,
    backUp: 10,
    restore: 10,
    join: isFull ? 0 : 30,
    retire: isFull ? 9 : 0,
    setClock: 12,
    collect: 3,
  });
  const done = what === 'setClock' ? fleet.setClock(CLOCK_MAX_S) : await fleet[what]();
  counts.set(what, (counts.get(what) ?? 0) + 1);
  say(done);
}

async function work(fleet: Fleet, { minutes, seed, sites }: Options): Promise<Map<string, number>> {
  const counts = new Map<string, number>();
  const random = new Random(`${seed}/events`);
  await fleet.found();
  while (fleet.members.length < Math.max(2, sites - 2)) say(await fleet.join());
  fleet.startWork();
  const endMs = performance.now() + minutes * 60_000;
  while (performance.now() < endMs) {
    await sleep(random.below(2 * EVENT_EVERY_MS));
    await fleet.watch();
    try {
      await happen(fleet, random, sites, counts);
    } catch (error) {
      fleet.findings.push((error as Error).message);
      say(`failed: ${(error as Error).message}`);
      await fleet.revive();
    }
  }
  return counts;
}

async function judge(fleet: Fleet): Promise<string[]> {
  const { ledger, members } = fleet;
  say(await fleet.heal());
  await fleet.watch();
  await fleet.stopWork();
  await fleet.linkAll();
  fleet.alignClocks();
  const apart = await quiet(members, QUIET_TIMEOUT_MS);
  if (apart.length > 0) return apart;
  say('all are quiet and show one digest');
  const { tree, wrong } = await sameTrees(members);
  const [first, second] = members;
  wrong.push(...keptAreas(ledger, tree), ...(await wholeRepositories(ledger, second ?? first!)));
  say(`${tree.size} entries are the same everywhere; ${ledger.areas.size} areas and their repositories were looked at`);
  wrong.push(...(await keptVersions(ledger, tree, first!)));
  say(`${ledger.shared.length} versions of shared files were looked for`);
  wrong.push(...(await cleanStates(members)));
  say('weft fsck looked at all');
  const journals = await shrinkJournals(members, JOURNAL_TIMEOUT_MS);
  wrong.push(...journals.wrong, ...(await quiet(members, QUIET_TIMEOUT_MS)));
  const rows = journals.sizes.map(({ name, beforeBytes, afterBytes, liveBytes }) => [
    name,
    sizeText(beforeBytes),
    sizeText(afterBytes),
    sizeText(liveBytes),
  ]);
  console.log(renderTable([['SITE', 'JOURNAL', 'CUT OFF', 'LIVE STATE'], ...rows]));
  return wrong;
}

async function play(options: Options): Promise<number> {
  const lacking = await namespacesLack();
  if (lacking !== null) throw new Error(lacking);
  const library = clockLibrary();
  console.log(`seed ${options.seed}: ${options.sites} sites, ${options.minutes} minutes`);
  if (library === null)
    console.log('clocks are right: libfaketime is not installed (Debian: apt-get install faketime)');
  const network = await SwitchedNetwork.create();
  const cluster = new Cluster('weft-eight');
  let wrong: string[] = ['the run came to no end'];
  try {
    const source = join(cluster.directory, 'source');
    writeSourceTree(source);
    const fleet = new Fleet(
      cluster,
      network,
      new Random(options.seed),
      source,
      library,
      PAUSE_MS_PER_SITE * options.sites,
    );
    const counts = await work(fleet, options);
    wrong = await judge(fleet).catch((error: unknown) => [String((error as Error).stack)]);
    wrong.push(...fleet.findings, ...fleet.ledger.wrong);
    for (const { site, name } of fleet.members) {
      await site.umount().catch((error: unknown) => wrong.push(`${name}: ${(error as Error).message}`));
    }
    console.log(renderTable([['EVENT', 'COUNT'], ...rowsOf(counts)], 1));
    console.log(renderTable([['STEP', 'COUNT'], ...rowsOf(fleet.ledger.steps)], 1));
  } finally {
    await cluster.close(options.keep && wrong.length > 0);
    await network.delete();
    if (library !== null) removeLeftovers();
  }
  for (const line of wrong) console.log(`WRONG: ${line}`);
  if (wrong.length > 0) console.log(`make eight MINUTES=${options.minutes} SEED=${options.seed} plays it again`);
  else say(`nothing is wrong, with seed ${options.seed}`);
  return wrong.length > 0 ? 1 : 0;
}

function rowsOf(counts: ReadonlyMap<string, number>): string[][] {
  return [...counts].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([what, count]) => [what, String(count)]);
}

process.exitCode = await runMain(USAGE, readOptions, play);

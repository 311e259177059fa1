#!/usr/bin/env node
// programs.ts — `make programs`: real programs, each with its own self-check, on a fresh volume and on the local filesystem beside it.
// One line per program: whether it passed, its time here and there. A program that is not installed is named with the package that holds
// it and was not run; it never counts as passed. What the daemon logs as an error is a failure of the program that it served.
// Exit code 0: all that ran passed, and something ran; 1: something failed; 2: wrong usage.

import { mkdirSync, realpathSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Cluster } from '../scripts/sites/cluster.js';
import { run } from '../scripts/sites/command.js';
import { runMain, UsageError } from '../scripts/sites/main-program.js';
import { PlainUser } from '../scripts/sites/plain-user.js';
import { isRunning } from '../scripts/sites/processes.js';
import type { Site } from '../scripts/sites/site.js';
import { PROGRAMS } from './programs/all-programs.js';
import { Place, type Program } from './programs/program.js';

const USAGE = `usage: programs [--only NAME]… [--dir DIR] [--driver NAME] [--as-user] [--second-site] [--no-local] [--seed N]
  --only NAME     only programs whose names contain NAME: ${PROGRAMS.map(({ name }) => name).join(' ')}
  --dir DIR       work in this directory instead of a fresh volume
  --driver NAME   kernel (default) or fuse-native
  --as-user       root runs all of it, the daemon too, as a user who is not root
  --second-site   another site is joined, and must show the same tree after each program
  --no-local      do not run on the local filesystem for comparison
  --seed N        repeat the random choices of an earlier run`;

interface Options {
  readonly programs: readonly Program[];
  readonly dir: string | null;
  readonly driver: string;
  /** Root starts it all again as a plain user. */
  readonly asUser: boolean;
  readonly secondSite: boolean;
  readonly local: boolean;
  readonly seed: number;
}

async function main(options: Options): Promise<number> {
  if (options.asUser) return runAsUser();
  const cluster = new Cluster('weft-programs');
  try {
    const tested = options.dir === null ? await mountedSite(cluster, options) : null;
    const directory = options.dir === null ? tested!.mountpoint : realpathSync(options.dir);
    const second = tested !== null && options.secondSite ? await joinedSite(cluster, tested) : null;
    const bench: Bench = { cluster, directory, tested, second, options };
    const outcomes: Outcome[] = [];
    for (const program of options.programs) {
      const outcome = await runProgram(bench, program);
      console.log(line(program.name, outcome));
      if (outcome.failure !== null) console.log(outcome.failure.replace(/^/gm, '    '));
      outcomes.push(outcome);
    }
    return summary(outcomes, options.seed);
  } finally {
    await cluster.close();
  }
}

/** How npm reaches its registry and Node's headers here is in root's settings, which the other user has not. */
async function npmSettings(): Promise<Record<string, string>> {
  const settings: Record<string, string> = {};
  for (const key of ['registry', 'nodedir']) {
    const value = (await run('npm', ['config', 'get', key])).stdout.trim();
    if (value !== '' && value !== 'undefined') settings[`npm_config_${key}`] = value;
  }
  return settings;
}

/** The same call without --as-user, by the other user. */
async function runAsUser(): Promise<number> {
  const user = await PlainUser.create();
  try {
    const args = process.argv.slice(2).filter((arg) => arg !== '--as-user');
    return (await user.script(import.meta.filename, args, { shown: true, env: await npmSettings() })).code ?? 1;
  } finally {
    await user.close();
  }
}

/** Null: only help is wanted. */
function readOptions(): Options | null {
  const { values } = parseArgs({
    options: {
      only: { type: 'string', multiple: true },
      dir: { type: 'string' },
      driver: { type: 'string' },
      'as-user': { type: 'boolean', default: false },
      'second-site': { type: 'boolean', default: false },
      'no-local': { type: 'boolean', default: false },
      seed: { type: 'string' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) return null;
  const programs = PROGRAMS.filter(({ name }) => !values.only || values.only.some((part) => name.includes(part)));
  if (programs.length === 0) throw new UsageError(`no program is named like ${values.only?.join(', ')}`);
  const seed = Number(values.seed ?? Date.now() % 1_000_000);
  if (!Number.isSafeInteger(seed) || seed < 0) throw new UsageError(`--seed ${values.seed}: give a whole number`);
  if (values.dir !== undefined && (values.driver !== undefined || values['second-site'])) {
    throw new UsageError('--dir names a directory that is mounted already: --driver and --second-site have no meaning');
  }
  if (values['as-user'] && !isRoot()) throw new UsageError('only root can become another user: leave out --as-user');
  return {
    programs,
    dir: values.dir ?? null,
    driver: values.driver ?? 'kernel',
    asUser: values['as-user'],
    secondSite: values['second-site'],
    local: !values['no-local'],
    seed,
  };
}

async function mountedSite(cluster: Cluster, options: Options): Promise<Site> {
  // Only root's programs change to other users.
  const site = cluster.addSite('programs', isRoot() ? ['allow_other'] : [], options.driver);
  await site.create('programs');
  return site;
}

async function joinedSite(cluster: Cluster, first: Site): Promise<Site> {
  const second = cluster.addSite('second');
  await second.join(await first.invite());
  return second;
}

/** Where programs run. */
interface Bench {
  readonly cluster: Cluster;
  readonly directory: string;
  /** Null: the directory is no volume of ours. */
  readonly tested: Site | null;
  readonly second: Site | null;
  readonly options: Options;
}

interface Outcome {
  /** Why it was not run; null when it was. */
  readonly notRun: string | null;
  /** What is wrong, as the program says it; null when nothing is. */
  readonly failure: string | null;
  readonly seconds: number | null;
  readonly localSeconds: number | null;
}

const NOTHING: Outcome = { notRun: null, failure: null, seconds: null, localSeconds: null };

async function runProgram(bench: Bench, program: Program): Promise<Outcome> {
  const missing = await missingPackages(program);
  if (missing.length > 0) return { ...NOTHING, notRun: `not installed: apt-get install ${missing.join(' ')}` };
  const scratch = bench.cluster.scratch(program.name);
  const inputs = join(scratch, 'inputs');
  mkdirSync(inputs, { mode: 0o755 });
  let seconds = null;
  let localSeconds = null;
  let where = 'while preparing';
  try {
    await program.prepare?.(place(bench, inputs, inputs));
    if (bench.options.local) {
      where = 'on the local filesystem';
      localSeconds = await timedRun(bench, program, join(scratch, 'local'), inputs);
    }
    where = 'on the volume';
    seconds = await timedRun(bench, program, join(bench.directory, program.name), inputs, bench.second);
    return { ...NOTHING, seconds, localSeconds };
  } catch (error) {
    return { ...NOTHING, failure: `${where}: ${(error as Error).message}`, localSeconds };
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

function place(bench: Bench, directory: string, inputs: string): Place {
  // Marks whatever the program leaves running, so that the cluster ends it.
  return new Place(directory, inputs, bench.options.seed, { WEFT_HOME: bench.cluster.home });
}

/** Resolves to seconds. Leaves no directory behind, or rejects. */
async function timedRun(
  bench: Bench,
  program: Program,
  directory: string,
  inputs: string,
  second: Site | null = null,
): Promise<number> {
  const site = directory.startsWith(`${bench.directory}/`) ? bench.tested : null;
  const errorsBefore = loggedErrors(site).length;
  // Made and removed by commands: a call that hangs must not hang this process.
  const create = await run('mkdir', ['-m', '755', directory]);
  if (create.code !== 0) throw new Error(create.stderr.trim());
  let seconds;
  let failure: Error | null = null;
  try {
    const started = performance.now();
    await program.run(place(bench, directory, inputs));
    seconds = (performance.now() - started) / 1000;
    if (second !== null) await assertSameTree(bench.tested!, second);
  } catch (error) {
    failure = error as Error;
  }
  const died = site !== null && site.daemonPid !== null && !isRunning(site.daemonPid);
  const errors = loggedErrors(site).slice(errorsBefore);
  if (died) {
    await site.kill();
    await site.mount();
    errors.push('the daemon ended');
  }
  const removal = await run('rm', ['-rf', directory], { timeoutMs: 120_000 });
  if (removal.code !== 0) errors.push(removal.stderr.trim());
  if (failure !== null || errors.length > 0) throw new Error([failure?.message ?? [], errors].flat().join('\n'));
  return seconds!;
}

async function assertSameTree(first: Site, second: Site): Promise<void> {
  await first.sync(120_000);
  await second.sync(120_000);
  const [here, there] = await Promise.all([first.status(), second.status()]);
  if (here.digest !== there.digest)
    throw new Error(`the second site shows another tree: ${there.digest}, ${here.digest}`);
  // The digest is the product's own word; this is what find(1) sees. Content is compared by the digest alone: some files are sparse and huge.
  const [listed, alsoListed] = await Promise.all([first, second].map(listing));
  if (listed !== alsoListed) throw new Error('find lists another tree at the second site');
}

/** Type, mode, owner, links, size of all but directories, time of modification, and target of everything in a site's tree. */
async function listing(site: Site): Promise<string> {
  const format = [
    '-type',
    'd',
    '-printf',
    '%P %y %m %U:%G %n %T@\\0',
    '-o',
    '-printf',
    '%P %y %m %U:%G %n %s %T@ %l\\0',
  ];
  const listed = await run('find', [site.mountpoint, ...format], { timeoutMs: 5 * 60_000 });
  if (listed.code !== 0) throw new Error(listed.stderr.trim());
  return listed.stdout.split('\0').toSorted().join('\n');
}

/** Errors in the daemon's log (pino's level 50 and up). */
function loggedErrors(site: Site | null): string[] {
  return site === null ? [] : site.logTroubles(Infinity).filter((text) => !text.startsWith('{"level":40,'));
}

async function missingPackages(program: Program): Promise<string[]> {
  const missing: string[] = [];
  for (const { probe, debianPackage } of program.needs) {
    if ((await run('bash', ['-c', probe])).code !== 0) missing.push(debianPackage);
  }
  return missing;
}

function isRoot(): boolean {
  return process.getuid?.() === 0;
}

function line(name: string, { notRun, failure, seconds, localSeconds }: Outcome): string {
  if (notRun !== null) return `not run  ${name.padEnd(16)} ${notRun}`;
  const ratio = seconds === null || localSeconds === null ? '' : `${(seconds / localSeconds).toFixed(1)}×`.padStart(7);
  const local = localSeconds === null ? '' : `  local ${shownTime(localSeconds)}`;
  return `${failure === null ? 'ok      ' : 'FAILED  '} ${name.padEnd(16)} ${shownTime(seconds)}${local} ${ratio}`;
}

function shownTime(seconds: number | null): string {
  return (seconds === null ? '' : `${seconds.toFixed(1)} s`).padStart(8);
}

function summary(outcomes: readonly Outcome[], seed: number): number {
  const notRun = outcomes.filter((outcome) => outcome.notRun !== null).length;
  const failed = outcomes.filter((outcome) => outcome.failure !== null).length;
  const passed = outcomes.length - notRun - failed;
  console.log(`\n${passed} passed, ${failed} failed, ${notRun} not run; seed ${seed}`);
  return failed > 0 || passed === 0 ? 1 : 0;
}

process.exitCode = await runMain(USAGE, readOptions, main);
